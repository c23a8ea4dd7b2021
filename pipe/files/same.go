package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/proto"
)

// Same is a writer that wants to be given what a file holds that is there already.
// It only reads that.
type Same struct {
	dir  *os.Root
	file *os.File
	buf  []byte
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

// Write fails with [ErrIsThere] at the first difference.
func (s *Same) Write(p []byte) (int, error) {
	if len(s.buf) < len(p) {
		s.buf = make([]byte, len(p))
	}
	got := s.buf[:len(p)]
	_, err := io.ReadFull(s.file, got)
	switch {
	case err == io.EOF && len(p) > 0, err == io.ErrUnexpectedEOF, err == nil && string(got) != string(p):
		return 0, ErrIsThere
	case err != nil && err != io.EOF:
		return 0, proto.IOError(err)
	}
	return len(p), nil
}

// Finish wants nothing more to be in the file, and makes it durable.
func (s *Same) Finish() error {
	switch n, err := s.file.Read(make([]byte, 1)); {
	case n > 0:
		return ErrIsThere
	case err != nil && err != io.EOF:
		return proto.IOError(err)
	}
	err := s.file.Sync()
	if err == nil || errors.Is(err, fs.ErrPermission) { // not every system lets who only reads
		err = syncDir(s.dir)
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
