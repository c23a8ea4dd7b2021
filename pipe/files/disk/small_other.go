//go:build !linux

package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// writeNamed writes a file whole under a name that must not exist. If it fails,
// there is no such file.
func writeNamed(in *Folder, name string, perm fs.FileMode, mtime int64, data []byte) error {
	f, err := in.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|fileFlags, perm|0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if perm&0o600 != 0o600 && err == nil {
		err = in.ignore(lackMode, restrictMode(f, perm))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = in.ignore(lackTime, setTime(in.root, name, time.Unix(0, mtime)))
	}
	if err != nil {
		_ = in.root.Remove(name)
	}
	return err
}

// ReadUnchanged reads a whole file in the folder into buf, which must have room
// for one byte more than Lstat found. If the file is not what Lstat found, the
// error is [ErrChanged].
func (f *Folder) ReadUnchanged(name string, found fs.FileInfo, buf []byte) ([]byte, error) {
	file, err := f.OpenUnchanged(name, found)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	n, err := io.ReadFull(file, buf[:found.Size()+1])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if err == nil || n != int(found.Size()) {
		return nil, ErrChanged
	}
	return buf[:n], file.CheckUnchanged()
}
