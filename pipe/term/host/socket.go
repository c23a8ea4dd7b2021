package host

import (
	"fmt"
	"os"
	"path/filepath"

	"mesh/pipe/local"
	"mesh/proto"
)

// SocketPrefix begins the name of a session's socket. The beginning of its id follows.
const SocketPrefix = "tty-"

// openSocket makes the session's socket, which no other user can open. If the path would
// be too long for a socket, it is made in a temporary folder.
func (h *Host) openSocket() error {
	if h.o.SocketDir == "" {
		return nil
	}
	dir := h.o.SocketDir
	name := SocketPrefix + h.Session.ID.String()[:16]
	err := local.MakeFolder(dir)
	if len(dir)+1+len(name) > local.MaxPathBytes && err == nil {
		if dir, err = os.MkdirTemp("", "mesh-"); err == nil {
			h.closers = append(h.closers, func() error { return os.Remove(dir) })
		}
	}
	path := filepath.Join(dir, name)
	if err == nil {
		h.socket, err = local.Listen(path)
	}
	if err == nil {
		h.closers = append([]func() error{h.socket.Close}, h.closers...) // closed before its folder is removed
	}
	if err != nil {
		return proto.IOError(fmt.Errorf("make the session's socket: %w", err))
	}
	return nil
}
