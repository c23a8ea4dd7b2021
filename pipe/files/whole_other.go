//go:build !linux

package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// writeNew writes a file whole under a name in an open folder that is not there
// yet, with its mode, of which the umask is taken away, and its time in nanoseconds
// since 1970. If it fails, there is none.
func writeNew(in *directory, name string, perm fs.FileMode, mtime int64, data []byte) error {
	f, err := in.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm|0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if perm&0o600 != 0o600 && err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			err = f.Chmod(info.Mode().Perm() & perm)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = in.Chtimes(name, time.Time{}, time.Unix(0, mtime))
	}
	if err != nil {
		_ = in.Remove(name)
	}
	return err
}

// readWhole reads a file in an open folder, which must be what was announced,
// into buf, which has room for one byte more.
func readWhole(in *directory, name string, info fs.FileInfo, buf []byte) ([]byte, error) {
	f, err := openFile(in.Root, name, info)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, buf[:info.Size()+1])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if err == nil || n != int(info.Size()) {
		return nil, errChanged
	}
	return buf[:n], f.unchanged()
}
