package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
)

// Same is a file that is there already, and may be what a sender sends again. It
// is only read. The caller closes it.
type Same struct {
	folder *disk.Folder
	file   *os.File
}

// OpenSame opens the file called name. If that is not a regular file, the error is
// [ErrIsThere].
func OpenSame(name string) (*Same, error) {
	folder, err := disk.Open(filepath.Dir(name))
	if err != nil {
		return nil, proto.IOError(err)
	}
	s := &Same{folder: folder}
	base := filepath.Base(name)
	info, err := folder.Lstat(base)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrIsThere
	}
	if err == nil {
		s.file, err = folder.OpenSame(base, info)
	}
	if errors.Is(err, disk.ErrReplaced) {
		err = ErrIsThere
	}
	if err != nil {
		s.Close()
		return nil, proto.IOError(err)
	}
	return s, nil
}

// Finish makes the file durable if it holds so many bytes with that digest. Else
// the error is [ErrIsThere]. A sender that may not read hears of the difference only
// now, when it has sent all: earlier, it could guess the content byte by byte.
func (s *Same) Finish(bytes int64, sum digest.Digest) error {
	hash := digest.New()
	n, err := io.Copy(hash, io.LimitReader(s.file, bytes+1))
	if err == nil && (n != bytes || hash.Sum() != sum) {
		return ErrIsThere
	}
	if err == nil {
		err = s.file.Sync()
		if err == nil || errors.Is(err, fs.ErrPermission) { // some systems sync only files open for writing
			err = s.folder.Sync()
		}
	}
	if err != nil {
		return proto.IOError(err)
	}
	return nil
}

// Close closes the file.
func (s *Same) Close() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.folder.Close()
}
