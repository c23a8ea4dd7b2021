package host

import (
	"fmt"
	"path/filepath"

	"mesh/pipe/local"
	"mesh/proto"
)

// SocketPrefix begins the name of a session's socket. The beginning of its id follows.
const SocketPrefix = "tty-"

// openSocket makes the session's socket, which no other user can open.
func (h *Host) openSocket() error {
	if h.o.SocketDir == "" {
		return nil
	}
	dir := h.o.SocketDir
	name := SocketPrefix + h.Session.ID.String()[:16]
	err := local.MakeFolder(dir)
	path := filepath.Join(dir, name)
	if err == nil {
		h.socket, err = local.Listen(path)
	}
	if err == nil {
		h.closers = append(h.closers, h.socket.Close)
	}
	if err != nil {
		return proto.IOError(fmt.Errorf("make the session's socket: %w", err))
	}
	return nil
}
