//go:build linux || darwin || freebsd

package local

import (
	"net"
	"os"
	"syscall"

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

// isOwners returns an error unless the process at the other end belongs to the owner of
// the file at path, or to root.
func isOwners(c *net.UnixConn, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	uid, err := userOf(c)
	if owner, ok := info.Sys().(*syscall.Stat_t); err == nil && uid != 0 && (!ok || uid != int(owner.Uid)) {
		err = proto.Errorf(proto.Config, "the other end of the socket is user %d", uid)
	}
	return err
}
