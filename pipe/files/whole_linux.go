package files

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"mesh/proto/rawfd"
)

// Small files are many, and what package os does for each of them beside the
// system calls below takes as long as these.

// writeNew writes a file whole under a name in an open folder that is not there
// yet, with its mode, of which the umask is taken away, and its time in nanoseconds
// since 1970. If it fails, there is none.
func writeNew(in *directory, name string, perm fs.FileMode, mtime int64, data []byte) error {
	return rawfd.Control(in.file, func(at uintptr) error {
		const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
		fd, err := again(func() (int, error) { return unix.Openat(int(at), name, flags, uint32(perm|0o600)) })
		if err != nil {
			return err
		}
		err = fill(fd, data)
		if err == nil {
			err = restrict(fd, perm)
		}
		if cerr := unix.Close(fd); err == nil {
			err = cerr
		}
		if err == nil {
			err = unix.UtimesNanoAt(int(at), name, modified(mtime), unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil {
			_ = unix.Unlinkat(int(at), name, 0)
		}
		return err
	})
}

// modified are the times of a file that was modified so many nanoseconds after
// 1970.
func modified(mtime int64) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
}

// fill writes all of a new file.
func fill(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := again(func() (int, error) { return unix.Write(fd, data) })
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// restrict takes from the mode of a new file what we needed.
func restrict(fd int, perm fs.FileMode) error {
	if perm&0o600 == 0o600 {
		return nil
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return err
	}
	return unix.Fchmod(fd, s.Mode&uint32(perm))
}

// readWhole reads a file in an open folder, which must be what was announced,
// into buf.
func readWhole(in *directory, name string, info fs.FileInfo, buf []byte) (data []byte, err error) {
	err = rawfd.Control(in.file, func(at uintptr) error {
		const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
		fd, err := again(func() (int, error) { return unix.Openat(int(at), name, flags, 0) })
		if err == unix.ENOENT || err == unix.ELOOP {
			return errChanged
		}
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		n := 0
		for n < int(info.Size()) {
			m, err := again(func() (int, error) { return unix.Read(fd, buf[n:info.Size()]) })
			if err != nil {
				return err
			}
			if m == 0 {
				break
			}
			n += m
		}
		var now unix.Stat_t
		if err := unix.Fstat(fd, &now); err != nil {
			return err
		}
		was, ok := info.Sys().(*syscall.Stat_t)
		if !ok || n != int(info.Size()) || now.Mode&unix.S_IFMT != unix.S_IFREG || now.Dev != was.Dev || now.Ino != was.Ino ||
			now.Size != was.Size || now.Mtim.Nano() != was.Mtim.Nano() {
			return errChanged
		}
		data = buf[:n]
		return nil
	})
	return data, err
}

// again calls a function until no signal interrupts it.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
