//go:build darwin || freebsd

package local

import (
	"net"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// userOf returns the user of the process at the other end: unix(4), LOCAL_PEERCRED.
func userOf(c *net.UnixConn) (uid int, err error) {
	err = rawfd.Control(c, func(fd uintptr) error {
		cred, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if err == nil {
			uid = int(cred.Uid)
		}
		return err
	})
	return uid, err
}
