package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"mesh/pipe/local"
	"mesh/proto"
)

// private makes a folder that nobody else can enter, if it is not there. Where it is,
// it must be such a one.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil || runtime.GOOS == "windows" {
		return err
	}
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = proto.Errorf(proto.Config, "%s: others may enter it (mode %04o): run chmod go= on it", dir, info.Mode().Perm())
	}
	return err
}

// SocketPrefix begins the name of each session's socket, some of its id follows.
const SocketPrefix = "tty-"

// listen makes the socket, which nobody else can open. Where its folder's path is
// too long for one, it is in a temporary folder.
func (h *Host) listen() error {
	if h.o.SocketDir == "" {
		return nil
	}
	dir := h.o.SocketDir
	name := SocketPrefix + h.ID.String()[:16]
	err := private(dir)
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
		h.closers = append([]func() error{h.socket.Close}, h.closers...) // before its folder
	}
	if err != nil {
		return proto.IOError(fmt.Errorf("make the session's socket: %w", err))
	}
	return nil
}
