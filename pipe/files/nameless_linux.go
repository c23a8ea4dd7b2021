package files

import (
	"io/fs"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// nameless is a file that has no name yet: O_TMPFILE of open(2). To give it one
// takes less time than to change one, and of a process that is killed it leaves
// nothing.
type nameless struct {
	fd int
	is bool
}

// namelessOpen counts those of this process. Each holds a descriptor until it is
// published.
var namelessOpen atomic.Int64

// namelessShare is which part of the descriptors of this process they may take.
const namelessShare = 4

// canNameless reports whether there can be nameless files in an open folder that
// get a name, which not every file system and kernel can. It tries it, with a name
// of ours.
func canNameless(in *directory, temp string) bool {
	n, err := writeNameless(in, 0o600, 0, nil)
	if err != nil {
		return false
	}
	defer n.close()
	return n.link(in, temp) == nil && in.Remove(temp) == nil
}

// mayNameless reports whether this process has descriptors for one more.
func mayNameless() bool {
	var most unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_NOFILE, &most) == nil && uint64(namelessOpen.Load()) < most.Cur/namelessShare
}

// writeNameless writes a file whole that is to get a name in an open folder, with
// its mode, of which the umask is taken away, and its time in nanoseconds since
// 1970.
func writeNameless(in *directory, perm fs.FileMode, mtime int64, data []byte) (n nameless, err error) {
	err = rawfd.Control(in.file, func(at uintptr) error {
		const flags = unix.O_WRONLY | unix.O_TMPFILE | unix.O_CLOEXEC
		fd, err := again(func() (int, error) { return unix.Openat(int(at), ".", flags, uint32(perm)) })
		if err != nil {
			return err
		}
		if err = fill(fd, data); err == nil {
			err = unix.UtimesNanoAt(fd, "", modified(mtime), unix.AT_EMPTY_PATH)
		}
		if err != nil {
			_ = unix.Close(fd)
			return err
		}
		n = nameless{fd, true}
		namelessOpen.Add(1)
		return nil
	})
	return n, err
}

// link gives it a name in an open folder that is not there yet.
func (n nameless) link(in *directory, name string) error {
	return rawfd.Control(in.file, func(at uintptr) error { return unix.Linkat(n.fd, "", int(at), name, unix.AT_EMPTY_PATH) })
}

func (n nameless) sync() error { return unix.Fsync(n.fd) }

func (n nameless) close() {
	namelessOpen.Add(-1)
	_ = unix.Close(n.fd)
}
