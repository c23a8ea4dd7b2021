package disk

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// setTimeAt is setTime by descriptor, with utimensat. The time is in nanoseconds
// since 1970.
func setTimeAt(fd int, name string, mtime int64, flags int) error {
	return unix.UtimesNanoAt(fd, name, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}, flags)
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := retryInterrupted(func() (int, error) { return unix.Write(fd, data) })
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// ReadUnchanged reads a whole file in the folder into buf, which must have room
// for one byte more than Lstat found. If the file is not what Lstat found, the
// error is [ErrChanged].
//
// Files of /proc hold something and have the size 0, and those of /sys hold less than
// their size: their content is returned too, if it fits into buf; else the error is
// [ErrNoSize].
func (f *Folder) ReadUnchanged(name string, found fs.FileInfo, buf []byte) (data []byte, err error) {
	err = rawfd.Control(f.dir, func(at uintptr) error {
		const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
		fd, err := retryInterrupted(func() (int, error) { return unix.Openat(int(at), name, flags, 0) })
		if err == unix.ENOENT || err == unix.ELOOP {
			return ErrChanged
		}
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		room := buf[:found.Size()]
		if len(room) == 0 {
			room = buf
		}
		n, err := readFull(fd, room)
		if err != nil {
			return err
		}
		var now unix.Stat_t
		if err := unix.Fstat(fd, &now); err != nil {
			return err
		}
		was, ok := found.Sys().(*syscall.Stat_t)
		if !ok || now.Mode&unix.S_IFMT != unix.S_IFREG || now.Dev != was.Dev || now.Ino != was.Ino ||
			now.Size != was.Size || now.Mtim.Nano() != was.Mtim.Nano() {
			return ErrChanged
		}
		switch {
		case n == int(found.Size()):
		case found.Size() == 0 && n == len(buf):
			return ErrNoSize
		case found.Size() > 0 && !isKernelData(fd):
			return ErrChanged
		}
		data = buf[:n]
		return nil
	})
	return data, err
}

// isKernelData reports whether the kernel makes the content of a file when it is read,
// so that the file may hold less than its size.
func isKernelData(fd int) bool {
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) != nil {
		return false
	}
	switch int64(s.Type) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC:
		return true
	}
	return false
}

// readFull reads until p is full or the file ends.
func readFull(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := retryInterrupted(func() (int, error) { return unix.Read(fd, p[n:]) })
		if err != nil || m == 0 {
			return n, err
		}
		n += m
	}
	return n, nil
}

// retryInterrupted repeats a call that a signal has interrupted.
func retryInterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
