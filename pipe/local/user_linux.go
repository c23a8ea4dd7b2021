package local

import (
	"net"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// userOf returns the user of the process at the other end: unix(7), SO_PEERCRED.
func userOf(c *net.UnixConn) (uid int, err error) {
	err = rawfd.Control(c, func(fd uintptr) error {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			uid = int(cred.Uid)
		}
		return err
	})
	return uid, err
}
