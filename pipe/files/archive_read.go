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

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// archiveReader finds the members of a zip or a tar. Their names are trusted as little as
// those of a peer. The list of members is in memory, sorted.
type archiveReader struct {
	name     string // as the user gave it
	file     *os.File
	info     fs.FileInfo
	symlinks bool
	exclusion

	refused []*item  // members whose names may not be sent
	members []member // by comparePaths; those of one name in the order of the archive
	at      int      // index of the next member
	stack   []*level // the archive, then the folders that the last item is in
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

// maxMembers bounds the members of an archive.
const maxMembers = 2 << 20

// CheckArchive fails if name is not an archive that can be sent.
func CheckArchive(name string) error {
	a, err := openArchive(name, SendOptions{SkipSymlinks: true})
	if err != nil {
		return err
	}
	a.close()
	return nil
}

// openArchive lists an archive. Its first bytes say of which kind it is.
func openArchive(name string, o SendOptions) (_ *archiveReader, err error) {
	f, err := disk.OpenFile(name)
	if err != nil {
		return nil, proto.IOError(err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	a := &archiveReader{name: name, file: f, symlinks: !o.SkipSymlinks, exclusion: newExclusion(o), stack: []*level{{}}}
	if a.info, err = f.Stat(); err != nil {
		return nil, proto.IOError(err)
	}
	if !a.info.Mode().IsRegular() {
		return nil, proto.Errorf(proto.Usage, "%s is not a regular file, which an archive must be", name)
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

// again returns a finder of the same members from the first one on, for which the archive
// is not read again. Their content cannot be opened. Call it before next.
func (a *archiveReader) again() *archiveReader {
	return &archiveReader{name: a.name, info: a.info, symlinks: a.symlinks, refused: a.refused, members: a.members, stack: []*level{{}}}
}

// addMember adds a member to the list. The folder in which tar has packed the others
// is left out.
func (a *archiveReader) addMember(m member) error {
	if len(a.members)+len(a.refused) == maxMembers {
		return proto.Errorf(proto.Space, "%s lists more than %d files", a.name, maxMembers)
	}
	m.path = strings.TrimPrefix(m.path, "./") // as tar has it of its folder
	if m.kind == wire.EntryFolder {
		if m.path = strings.TrimSuffix(m.path, "/"); m.path == "" || m.path == "." {
			return nil
		}
	}
	if err := CheckPath(m.path, AnyNames); err != nil {
		it := &item{path: m.path}
		a.refused = append(a.refused, it.failed(err))
		return nil
	}
	if m.err == nil && m.kind == wire.EntrySymlink {
		m.err = checkLinkToSend(m.path, m.target)
	}
	a.members = append(a.members, m)
	return nil
}

// next implements [finder].
func (a *archiveReader) next() *item {
	if len(a.refused) > 0 {
		it := a.refused[0]
		a.refused = a.refused[1:]
		return it
	}
	for a.at < len(a.members) {
		m := a.members[a.at]
		in, rest := a.enclosing(m.path)
		name, _, below := strings.Cut(rest, "/")
		if below { // the archive has no member for the folder
			m = member{path: path.Join(in.path, name), kind: wire.EntryFolder, perm: 0o755, mtime: a.info.ModTime()}
		}
		it := &item{path: m.path}
		if len(a.stack) > 1 {
			it.in = in
		}
		repeated := 0
		if !below {
			repeated = a.countRepeated()
			a.at++
		}
		if repeated > 0 && m.kind == wire.EntryFolder && a.members[a.at].kind == wire.EntryFolder {
			continue // the last member of a folder has its mode and time
		}
		if a.excludes(m.path, m.path, m.kind == wire.EntryFolder) {
			a.at += repeated
			a.skipBelow(m.path)
			continue
		}
		before := in.last
		it.rival = in.addName(name)
		if repeated > 0 || name == before {
			a.at += repeated
			m.err = proto.Errorf(proto.Unsafe, "it is in the archive more than once")
		}
		if m.err != nil {
			a.skipBelow(m.path)
			return it.failed(m.err)
		}
		return a.completeItem(it, m)
	}
	return nil
}

// enclosing leaves the folders that a path is not in. It returns the innermost that
// the path is in, and the rest of the path.
func (a *archiveReader) enclosing(p string) (in *level, rest string) {
	for len(a.stack) > 1 {
		top := a.stack[len(a.stack)-1]
		if rest, ok := strings.CutPrefix(p, top.path+"/"); ok {
			return top, rest
		}
		a.stack = a.stack[:len(a.stack)-1]
	}
	return a.stack[0], p
}

// countRepeated counts the members behind the next one that have its name.
func (a *archiveReader) countRepeated() int {
	n := 0
	for _, m := range a.members[a.at+1:] {
		if m.path != a.members[a.at].path {
			break
		}
		n++
	}
	return n
}

// completeItem makes the item of a member that can be sent.
func (a *archiveReader) completeItem(it *item, m member) *item {
	it.kind, it.perm, it.mtime, it.size, it.target = m.kind, m.perm, m.mtime, m.size, m.target
	switch m.kind {
	case wire.EntryFolder:
		it.inside = &level{path: m.path, fresh: it.in != nil && it.in.fresh}
		a.stack = append(a.stack, it.inside)
	case wire.EntryFile:
		it.open = func() (body, error) {
			r, err := m.open()
			if err != nil {
				return nil, errDamaged(err)
			}
			return &archived{r, a, m.size}, nil
		}
	}
	return it
}

// skipBelow leaves out the members below a path.
func (a *archiveReader) skipBelow(p string) {
	for a.at < len(a.members) && strings.HasPrefix(a.members[a.at].path, p+"/") {
		a.at++
	}
}

// prune implements [finder].
func (a *archiveReader) prune(l *level) { a.skipBelow(l.path) }

// close implements [finder].
func (a *archiveReader) close() { _ = a.file.Close() } // that of again has no file

// archived is a member of an archive, as [body].
type archived struct {
	io.ReadCloser
	archive *archiveReader
	left    int64
}

// Read fails if the member has another size than the archive says. The reader below
// fails if a checksum is wrong.
func (f *archived) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.left -= int64(n)
	switch {
	case f.left < 0:
		return 0, errDamaged(errors.New("it holds more than it says"))
	case err == io.EOF && f.left > 0:
		return n, errDamaged(io.ErrUnexpectedEOF)
	case err != nil && err != io.EOF:
		return n, errDamaged(err)
	}
	return n, err
}

// errDamaged gives the error of a read in an archive its code.
func errDamaged(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return proto.IOError(err)
	}
	return proto.Errorf(proto.IO, "the archive is damaged: %w", err)
}

// CheckUnchanged implements [body].
func (f *archived) CheckUnchanged() error {
	info, err := f.archive.file.Stat()
	if err != nil {
		return proto.IOError(disk.Cause(err))
	}
	if info.Size() != f.archive.info.Size() || !info.ModTime().Equal(f.archive.info.ModTime()) {
		return disk.ErrChanged
	}
	return nil
}
