package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// archive finds what a zip or a tar holds. Its names are trusted as little as
// those of a peer. The list of what it holds is in memory, sorted.
type archive struct {
	name     string // as the person gave it
	file     *os.File
	info     fs.FileInfo
	symlinks bool

	refused []*item  // whose names may not be sent
	members []member // by comparePaths; those of one name as they come
	at      int
	stack   []*level // that the last item is in; the first is the archive
}

// member is an entry of an archive.
type member struct {
	path   string
	kind   string
	perm   fs.FileMode
	mtime  time.Time
	size   int64
	target string
	err    error
	open   func() (io.ReadCloser, error)
}

// maxMembers bounds what an archive lists.
const maxMembers = 2 << 20

// CheckArchive wants name to be an archive that can be sent.
func CheckArchive(name string) error {
	a, err := openArchive(name, false)
	if err != nil {
		return err
	}
	a.close()
	return nil
}

// openArchive lists an archive. What kind it is its first bytes say.
func openArchive(name string, symlinks bool) (_ *archive, err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, proto.IOError(err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	a := &archive{name: name, file: f, symlinks: symlinks, stack: []*level{{}}}
	if a.info, err = f.Stat(); err != nil {
		return nil, proto.IOError(err)
	}
	if !a.info.Mode().IsRegular() {
		return nil, proto.Errorf(proto.Usage, "%s is not a file, which an archive is", name)
	}
	magic := make([]byte, 4)
	n, err := f.ReadAt(magic, 0)
	if err != nil && err != io.EOF {
		return nil, proto.IOError(err)
	}
	switch start := string(magic[:n]); {
	case start == "PK\x03\x04" || start == "PK\x05\x06":
		err = a.listZip()
	case strings.HasPrefix(start, "\x1f\x8b"):
		err = proto.Errorf(proto.Usage, "%s is compressed: gzip -dc gives the tar that can be sent", name)
	default:
		err = a.listTar()
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(a.members, func(x, y member) int { return comparePaths(x.path, y.path) })
	return a, nil
}

// add takes a member that is not a folder with what is to be sent in it.
func (a *archive) add(m member) error {
	if len(a.members)+len(a.refused) == maxMembers {
		return proto.Errorf(proto.Space, "%s lists more than %d files", a.name, maxMembers)
	}
	m.path = strings.TrimPrefix(m.path, "./") // as tar has it of its folder
	if m.kind == wire.EntryFolder {
		if m.path = strings.TrimSuffix(m.path, "/"); m.path == "" || m.path == "." {
			return nil
		}
	}
	if err := CheckPath(m.path, false); err != nil {
		it := &item{path: m.path}
		a.refused = append(a.refused, it.fail(err))
		return nil
	}
	if m.err == nil && m.kind == wire.EntrySymlink {
		m.err = checkTarget(m.path, m.target)
	}
	a.members = append(a.members, m)
	return nil
}

// next implements [finder].
func (a *archive) next() *item {
	if len(a.refused) > 0 {
		it := a.refused[0]
		a.refused = a.refused[1:]
		return it
	}
	for a.at < len(a.members) {
		m := a.members[a.at]
		in, rest := a.leave(m.path)
		name, _, below := strings.Cut(rest, "/")
		if below { // of a folder that is not listed itself
			m = member{path: path.Join(in.path, name), kind: wire.EntryFolder, perm: 0o755, mtime: a.info.ModTime()}
		}
		it := &item{path: m.path}
		if len(a.stack) > 1 {
			it.in = in
		}
		again := 0
		if !below {
			again = a.again()
			a.at++
		}
		if again > 0 && m.kind == wire.EntryFolder && a.members[a.at].kind == wire.EntryFolder {
			continue // the last one says how it is
		}
		before := in.last
		in.last = fold(name)
		switch {
		case again > 0:
			a.at += again
			m.err = proto.Errorf(proto.Unsafe, "it is in the archive more than once")
		case in.last == before:
			m.err = errTwinHere
		}
		if m.err != nil {
			a.skip(m.path)
			return it.fail(m.err)
		}
		return a.found(it, m)
	}
	return nil
}

// leave leaves the folders that a path is not in, and returns that which it is
// in and the rest of the path.
func (a *archive) leave(p string) (in *level, rest string) {
	for len(a.stack) > 1 {
		top := a.stack[len(a.stack)-1]
		if rest, ok := strings.CutPrefix(p, top.path+"/"); ok {
			return top, rest
		}
		a.stack = a.stack[:len(a.stack)-1]
	}
	return a.stack[0], p
}

// again counts the members behind this one that have its name.
func (a *archive) again() int {
	n := 0
	for _, m := range a.members[a.at+1:] {
		if m.path != a.members[a.at].path {
			break
		}
		n++
	}
	return n
}

func (a *archive) found(it *item, m member) *item {
	it.kind, it.perm, it.mtime, it.size, it.target = m.kind, m.perm, m.mtime, m.size, m.target
	switch m.kind {
	case wire.EntryFolder:
		it.inside = &level{path: m.path, fresh: it.in != nil && it.in.fresh}
		a.stack = append(a.stack, it.inside)
	case wire.EntryFile:
		it.open = func() (body, error) {
			r, err := m.open()
			if err != nil {
				return nil, damaged(err)
			}
			return &archived{r, a, m.size}, nil
		}
	}
	return it
}

// skip leaves out what is below a path.
func (a *archive) skip(p string) {
	for a.at < len(a.members) && strings.HasPrefix(a.members[a.at].path, p+"/") {
		a.at++
	}
}

// prune implements [finder].
func (a *archive) prune(l *level) { a.skip(l.path) }

// close implements [finder].
func (a *archive) close() { _ = a.file.Close() }

// archived is a file in an archive, as [body].
type archived struct {
	io.ReadCloser
	archive *archive
	left    int64
}

// Read wants as much to be there as the archive says, and the checksum to be
// right if there is one.
func (f *archived) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.left -= int64(n)
	switch {
	case f.left < 0:
		return 0, damaged(errors.New("it holds more than it says"))
	case err == io.EOF && f.left > 0:
		return n, damaged(io.ErrUnexpectedEOF)
	case err != nil && err != io.EOF:
		return n, damaged(err)
	}
	return n, err
}

// damaged gives the error of a read in an archive its code.
func damaged(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return proto.IOError(err)
	}
	return proto.Errorf(proto.IO, "the archive is damaged: %w", err)
}

func (f *archived) unchanged() error {
	info, err := f.archive.file.Stat()
	if err != nil {
		return proto.IOError(cause(err))
	}
	if info.Size() != f.archive.info.Size() || !info.ModTime().Equal(f.archive.info.ModTime()) {
		return errChanged
	}
	return nil
}
