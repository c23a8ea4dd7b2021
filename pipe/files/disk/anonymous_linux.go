package disk

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// anonymous is a file without a name: O_TMPFILE of open(2). Giving it one takes
// less time than changing one, and a process that is killed leaves nothing of it
// behind.
type anonymous struct {
	fd     int
	isOpen bool
}

// canMakeAnonymous reports whether anonymous files in a folder can be created and
// named. Not every file system and kernel can. It tries it, with a temporary name.
func canMakeAnonymous(in *Folder, temp string) bool {
	a, err := writeAnonymous(in, 0o600, 0, nil)
	if err != nil {
		return false
	}
	defer a.close()
	return a.link(in, temp) == nil && in.root.Remove(temp) == nil
}

// writeAnonymous writes a whole file that can get a name in a folder.
func writeAnonymous(in *Folder, perm fs.FileMode, mtime int64, data []byte) (a anonymous, err error) {
	err = rawfd.Control(in.dir, func(at uintptr) error {
		const flags = unix.O_WRONLY | unix.O_TMPFILE | unix.O_CLOEXEC
		fd, err := retryInterrupted(func() (int, error) { return unix.Openat(int(at), ".", flags, uint32(perm)) })
		if err != nil {
			return err
		}
		if err = writeAll(fd, data); err == nil {
			err = in.ignore(lackTime, setTimeAt(fd, "", mtime, unix.AT_EMPTY_PATH))
		}
		if err != nil {
			_ = unix.Close(fd)
			return err
		}
		a = anonymous{fd, true}
		return nil
	})
	return a, err
}

// link gives the file a name in a folder. If that exists, the error is EEXIST.
func (a anonymous) link(in *Folder, name string) error {
	return rawfd.Control(in.dir, func(at uintptr) error { return unix.Linkat(a.fd, "", int(at), name, unix.AT_EMPTY_PATH) })
}

func (a anonymous) stat() (fs.FileInfo, error) {
	again, err := unix.FcntlInt(uintptr(a.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(again), "")
	defer f.Close()
	return f.Stat()
}

func (a anonymous) sync() error { return unix.Fsync(a.fd) }

func (a anonymous) close() { _ = unix.Close(a.fd) }
