//go:build !linux

package disk

import (
	"io"
	"io/fs"
)

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
