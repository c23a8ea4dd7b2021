package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/pipe/digest"
	"mesh/proto"
)

// Same is a file that is there already, and may be what a sender repeats. It is only
// read.
type Same struct {
	dir  *os.Root
	file *os.File
}

// OpenSame opens the file called name. What is no regular file is [ErrIsThere].
func OpenSame(name string) (*Same, error) {
	dir, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return nil, proto.IOError(err)
	}
	s := &Same{dir: dir}
	base := filepath.Base(name)
	info, err := dir.Lstat(base)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrIsThere
	}
	if err == nil {
		s.file, err = dir.OpenFile(base, os.O_RDONLY|openNonblock, 0)
	}
	if err == nil {
		if opened, serr := s.file.Stat(); serr != nil || !os.SameFile(info, opened) {
			err = ErrIsThere
		}
	}
	if err != nil {
		s.Close()
		return nil, proto.IOError(err)
	}
	return s, nil
}

// Finish makes the file durable if it holds so many bytes with that digest; else it
// fails with [ErrIsThere]. A sender that may not read is told no sooner: it could try
// one byte after the other.
func (s *Same) Finish(bytes int64, sum digest.Digest) error {
	hash := digest.New()
	n, err := io.Copy(hash, io.LimitReader(s.file, bytes+1))
	if err == nil && (n != bytes || hash.Sum() != sum) {
		return ErrIsThere
	}
	if err == nil {
		err = s.file.Sync()
		if err == nil || errors.Is(err, fs.ErrPermission) { // not every system lets who only reads
			err = syncDir(s.dir)
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
	_ = s.dir.Close()
}
