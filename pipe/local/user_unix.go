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
