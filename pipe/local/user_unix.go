//go:build linux || darwin || freebsd

package local

import (
	"net"
	"os"

	"mesh/proto"
)

// sameUser wants the process at the other end to be one of this user, or of root,
// who can be this user.
func sameUser(c *net.UnixConn) error {
	uid, err := userOf(c)
	if err == nil && uid != os.Geteuid() && uid != 0 {
		err = proto.Errorf(proto.Config, "the other end of the socket is user %d", uid)
	}
	return err
}

// control calls a function with the descriptor of a socket.
func control(c *net.UnixConn, call func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = call(int(fd)) }); err != nil {
		return err
	}
	return failed
}
