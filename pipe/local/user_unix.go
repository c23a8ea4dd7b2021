//go:build linux || darwin || freebsd

package local

import (
	"net"
	"os"

	"mesh/proto"
)

// sameUser returns an error unless the process at the other end belongs to this user,
// or to root, which can act as any user.
func sameUser(c *net.UnixConn) error {
	uid, err := userOf(c)
	if err == nil && uid != os.Geteuid() && uid != 0 {
		err = proto.Errorf(proto.Config, "the other end of the socket is user %d", uid)
	}
	return err
}
