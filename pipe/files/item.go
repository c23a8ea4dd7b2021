package files

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"mesh/proto"
)

// finder finds what is to be sent, in the order in which it is announced.
type finder interface {
	// next returns the next item, nil at the end.
	next() *item
	// prune leaves out what is still to come of a folder.
	prune(*level)
	// close gives back all that it holds.
	close()
}

// item is something to be sent.
type item struct {
	path   string
	kind   string
	perm   fs.FileMode
	mtime  time.Time
	size   int64  // of a file
	target string // of a symbolic link
	// err is why it can't be sent. Then only path is set.
	err error

	inside *level // of a folder
	in     *level // nil at the top
	tree   *tree  // that it is opened in; may be nil
	open   func() (body, error)
	// whole, which may be nil, reads a small file into a buffer with room for one
	// byte more, as long as the walk is in its folder.
	whole func(buf []byte) ([]byte, error)
}

// body is what a file holds.
type body interface {
	io.ReadCloser
	// unchanged wants the file to be what was announced still.
	unchanged() error
}

// are sets what is known of an item but its kind.
func (it *item) are(info fs.FileInfo) {
	it.perm, it.mtime = info.Mode().Perm(), info.ModTime()
	if info.Mode().IsRegular() {
		it.size = info.Size()
	}
}

// nanoseconds are those since 1970, or the nearest that can be told.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// fail makes the item one that can't be sent.
func (it *item) fail(err error) *item {
	code := proto.CodeOf(err)
	switch {
	case errors.Is(err, fs.ErrNotExist) && it.in != nil:
		code = proto.Changed // it was listed
	case code != proto.Unsafe:
		code = proto.IO
	}
	return &item{path: it.path, in: it.in, err: &proto.Error{Code: code, Err: cause(err)}}
}

// file is an open file of the disk, and what was announced of it.
type file struct {
	*os.File
	info fs.FileInfo
}

// openFile opens a file, which must still be what was announced.
func openFile(in *os.Root, name string, info fs.FileInfo) (body, error) {
	opened, err := in.OpenFile(filepath.FromSlash(name), os.O_RDONLY|openNonblock, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errChanged
		}
		return nil, proto.IOError(cause(err))
	}
	f := file{opened, info}
	if err := f.unchanged(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (f file) unchanged() error {
	info, err := f.Stat()
	if err != nil {
		return proto.IOError(cause(err))
	}
	if !info.Mode().IsRegular() || !os.SameFile(info, f.info) || info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) {
		return errChanged
	}
	return nil
}

var errChanged = proto.Errorf(proto.Changed, "it changed while it was sent")
