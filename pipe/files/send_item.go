package files

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// finder finds what is to be sent, in the order in which it is announced.
type finder interface {
	// next returns the next item, nil at the end.
	next() *item
	// prune leaves out what has not been found yet below a folder.
	prune(*level)
	// excluded returns how many entries the patterns have excluded so far.
	excluded() int64
	// close releases everything but the items.
	close()
}

// item is a file, folder or symbolic link to send.
type item struct {
	path   string
	kind   string
	perm   fs.FileMode
	mtime  time.Time
	size   int64 // of a file
	holes  int64 // bytes of the file that are in holes
	id     disk.FileID
	linked bool   // the file has other names, which share id
	target string // of a symbolic link
	// rival is the first name in its folder that some system takes for its name.
	rival string
	// err is why it cannot be sent. Then only path and in are set.
	err error

	inside *level // of a folder: itself
	in     *level // the folder that it is in; nil at the top
	tree   *tree  // the folder that it is opened in; may be nil
	open   func() (body, error)
	// readSmall, which may be nil, reads a small file into a buffer with room for
	// one byte more.
	readSmall func(buf []byte) ([]byte, error)
}

// body is the content of a file.
type body interface {
	io.ReadCloser
	// CheckUnchanged fails if the file is no longer the one that was announced.
	CheckUnchanged() error
}

// setInfo copies mode, time and, for a regular file, size from info.
func (it *item) setInfo(info fs.FileInfo) {
	it.perm, it.mtime = info.Mode().Perm(), info.ModTime()
	if info.Mode().IsRegular() {
		it.size, it.holes = info.Size(), disk.HoleBytes(info)
		it.id, it.linked = disk.IDOfLinked(info)
	}
}

// keepContent makes the item one of a file that holds p, whatever its size says. What
// is read of such a file a second time may be different.
func (it *item) keepContent(p []byte) error {
	if len(p) > proto.SmallFileBytes {
		return disk.ErrNoSize
	}
	p = bytes.Clone(p)
	it.size = int64(len(p))
	it.open = func() (body, error) { return kept{bytes.NewReader(p)}, nil }
	return nil
}

// kept is the content of a file that is in memory, as [body].
type kept struct{ *bytes.Reader }

// Close implements [io.Closer].
func (kept) Close() error { return nil }

// CheckUnchanged implements [body].
func (kept) CheckUnchanged() error { return nil }

// unixNano returns the nanoseconds since 1970, or the nearest number that an
// int64 can hold.
func unixNano(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// failed returns the item as one that cannot be sent.
func (it *item) failed(err error) *item {
	code := proto.CodeOf(err)
	switch {
	case errors.Is(err, fs.ErrNotExist) && it.in != nil:
		code = proto.Changed // its folder listed it a moment before
	case code != proto.Unsafe:
		code = proto.IO
	}
	return &item{path: it.path, in: it.in, err: &proto.Error{Code: code, Err: disk.Cause(err)}}
}

// kindOf names what is neither a file nor a folder.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "FIFO"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
