// Package statefile reads and writes the small files in the state folder: lists that
// say whom this node trusts, and its key. A file is trusted only if nobody but this
// user and root may write it, and a change is on the disk before it is reported.
package statefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mesh/proto"
)

// maxLinks bounds the symbolic links that lead from a name to a file.
const maxLinks = 16

// Find returns the regular file that path names, through symbolic links, and
// what is known about it. It fails with code [proto.Config] if users other than this
// one and root may write the file, or the folder of the file or of a link to it: they
// could put another file there. The error is [fs.ErrNotExist] if nothing has the name
// path, but not for a link to nothing.
func Find(path string) (file string, info fs.FileInfo, err error) {
	file = path
	for range maxLinks {
		if err := checkFolder(filepath.Dir(file)); err != nil {
			return "", nil, err
		}
		info, err := os.Lstat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist) && file != path:
			return "", nil, proto.Errorf(proto.Config, "%s: a symbolic link to nothing", path)
		case errors.Is(err, fs.ErrNotExist):
			return file, nil, err
		case err != nil:
			return "", nil, Failed(err)
		case info.Mode().IsRegular(): // opening a FIFO would wait for its writer
			return file, info, check(path, info)
		case info.Mode()&fs.ModeSymlink == 0:
			return "", nil, proto.Errorf(proto.Config, "%s: not a regular file", path)
		}
		to, err := os.Readlink(file)
		if err != nil {
			return "", nil, Failed(err)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(file), to)
		}
		file = to
	}
	return "", nil, proto.Errorf(proto.Config, "%s: too many symbolic links", path)
}

// Check makes the checks of [Find] for files that are in the folder dir. A file may be
// missing.
func Check(dir string, names ...string) error {
	for _, name := range names {
		if _, _, err := Find(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Read returns the content of the file that [Find] finds, at most limit bytes. Except
// for [fs.ErrNotExist], errors have code [proto.Config].
func Read(path string, limit int64) ([]byte, error) {
	file, _, err := Find(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, &proto.Error{Code: proto.Config, Err: err}
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// readAll reads a file that has just been opened. Errors call it path.
func readAll(f *os.File, path string, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, &proto.Error{Code: proto.Config, Err: err}
	}
	if err := check(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, &proto.Error{Code: proto.Config, Err: err}
	case int64(len(text)) > limit:
		return nil, proto.Errorf(proto.Config, "%s: larger than %d bytes", path, limit)
	}
	return text, nil
}

func check(path string, info fs.FileInfo) error {
	if why := othersMayWrite(info); why != "" {
		return proto.Errorf(proto.Config, "%s: %s", path, why)
	}
	return nil
}

// checkFolder accepts a folder that other users may write if it is sticky: there they
// can neither rename nor remove what is not their own.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return Failed(err)
	}
	if info.Mode()&fs.ModeSticky != 0 {
		info = withoutWrite{info}
	}
	return check("folder "+dir, info)
}

// withoutWrite hides the permission of other users to write.
type withoutWrite struct{ fs.FileInfo }

// Mode implements [fs.FileInfo].
func (w withoutWrite) Mode() fs.FileMode { return w.FileInfo.Mode() &^ 0o022 }

// Failed gives an error in reading or writing a state file its code: [proto.Config] if
// the folder is missing or may not be written, else that of a failing disk.
func Failed(err error) error {
	if _, ok := errors.AsType[*proto.Error](err); err == nil || ok {
		return err
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR) {
		return &proto.Error{Code: proto.Config, Err: err}
	}
	return proto.IOError(err)
}

// named returns err with path in place of the name of a temporary file, which the user
// does not know.
func named(err error, path string) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	return err
}
