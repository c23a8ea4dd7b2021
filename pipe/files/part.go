package files

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// tempSuffix ends the name of every file that is not finished.
const tempSuffix = ".part"

// part is a file that is being received, under a name of ours beside its own.
type part struct {
	folder    *folder // open
	entry     *wire.Entry
	name      string // it will get
	temp      string
	file      *os.File // nil if it is written whole
	bare      nameless // if it has no temp
	body      []byte   // of what is to be written whole
	unwritten error    // why that could not be
	hash      *digest.Hasher
	bytes     int64
	kept      bool // when it is cut short, for another run to go on with

	published bool
}

// partName is the name of the unfinished file of a large entry. It says what
// the sender's file was and whose, so that nothing else is continued.
func partName(owner string, e *wire.Entry) string {
	sum := digest.Sum(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", owner, e.Path, e.Size, e.Mtime))
	return tempPrefix + hex.EncodeToString(sum[:16]) + tempSuffix
}

// temps are names of what is not finished, of which there was none before.
type temps struct {
	run  string
	last int
}

// newTemps keeps the names short, which file systems do better with. Creating one
// fails if it is there.
func newTemps() temps { return temps{run: tempPrefix + rand.Text()[:12] + "-"} }

func (t *temps) next() string {
	t.last++
	return t.run + strconv.Itoa(t.last) + tempSuffix
}

// newPart begins a file in an open folder, which it takes over. If one of a
// large file is there already, it is emptied; if another process writes that, a
// new one is made.
func newPart(in *folder, owner, name string, e *wire.Entry) (*part, error) {
	p := &part{folder: in, entry: e, name: name, hash: digest.New()}
	if !e.Small() {
		p.temp, p.kept = partName(owner, e), true
		if err := p.reopen(); err == nil {
			if err := p.file.Truncate(0); err == nil {
				return p, nil
			}
			p.drop()
		}
		if p.create() == nil {
			return p, nil
		}
	}
	p.temp, p.kept = tempPrefix+rand.Text()+tempSuffix, false
	if err := p.create(); err != nil {
		return nil, err
	}
	return p, nil
}

// sum is the digest of a file that is whole.
func (p *part) sum() digest.Digest {
	if p.hash == nil {
		return *p.entry.Digest // proven before it was written
	}
	return p.hash.Sum()
}

// create makes the temporary. It can be read and written by us whatever the
// mode of the entry is, until it is finished.
func (p *part) create() error {
	perm := fs.FileMode(p.entry.Mode) | 0o600
	// A file never blocks; the flag only keeps the runtime from finding out how it
	// could wait for it.
	f, err := p.folder.root.OpenFile(p.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|openNonblock, perm)
	if err != nil {
		return err
	}
	p.file = f
	if err := lock(f); err != nil {
		p.drop()
		return err
	}
	return nil
}

// reopen opens the part that another run has left: a regular file with this
// name alone, that nobody else writes.
func (p *part) reopen() error {
	info, err := p.folder.root.Lstat(p.temp)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return proto.Errorf(proto.Unsafe, "%s is no file", p.temp)
	}
	f, err := p.folder.root.OpenFile(p.temp, os.O_RDWR|openNonblock, 0)
	if err != nil {
		return err
	}
	opened, err := f.Stat()
	if err == nil && (!os.SameFile(info, opened) || !isOurs(opened)) {
		err = proto.Errorf(proto.Unsafe, "%s is not ours", p.temp)
	}
	if err == nil {
		err = lock(f)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	p.file = f
	return nil
}

// write adds to the file.
func (p *part) write(b []byte) error {
	if int64(len(b)) > p.entry.Size-p.bytes {
		return errMore
	}
	n, err := p.file.Write(b)
	_, _ = p.hash.Write(b[:n]) // never fails
	p.bytes += int64(n)
	if err != nil {
		return p.failed(err)
	}
	return nil
}

// check wants all to be there, with the given digest.
func (p *part) check(want wire.Digest) error {
	if p.bytes != p.entry.Size {
		return errFewer(p.entry, p.bytes)
	}
	if p.hash.Sum() != want {
		return errDigest
	}
	return nil
}

var (
	errMore   = proto.Errorf(proto.Protocol, "the peer sends more of a file than it announced")
	errDigest = proto.Errorf(proto.Integrity, "digest mismatch: a file is not what was sent")
)

func errFewer(e *wire.Entry, n int64) error {
	return proto.Errorf(proto.Integrity, "the peer announced %d bytes of a file and sent %d", e.Size, n)
}

// proven wants what came to be all of a small file.
func proven(e *wire.Entry, body []byte) error {
	switch {
	case int64(len(body)) > e.Size:
		return errMore
	case int64(len(body)) < e.Size:
		return errFewer(e, int64(len(body)))
	case digest.Sum(body) != *e.Digest:
		return errDigest
	}
	return nil
}

// finish gives the file its mode and time. Only the name is wrong then.
func (p *part) finish() error {
	if mode := fs.FileMode(p.entry.Mode); mode&0o600 != 0o600 { // else it was made with the right one
		info, err := p.file.Stat()
		if err != nil {
			return p.failed(err)
		}
		if err := p.file.Chmod(info.Mode().Perm() & mode); err != nil {
			return p.failed(err)
		}
	}
	if err := p.folder.root.Chtimes(p.temp, time.Time{}, time.Unix(0, p.entry.Mtime)); err != nil {
		return p.failed(err)
	}
	return nil
}

func (p *part) failed(err error) error {
	return proto.IOError(fmt.Errorf("write %s: %w", proto.EscapeText(p.entry.Path), cause(err)))
}

// sync makes what it holds durable.
func (p *part) sync() error {
	switch {
	case p.file != nil:
		return p.file.Sync()
	case p.bare.is:
		return p.bare.sync()
	}
	f, err := p.folder.root.OpenFile(p.temp, os.O_RDWR|openNonblock, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (p *part) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
	if p.bare.is {
		p.bare.close()
	}
}

// drop takes the file away.
func (p *part) drop() {
	p.close()
	if !p.bare.is {
		_ = p.folder.root.Remove(p.temp)
	}
}

// at goes on behind what is there.
func (p *part) at(offset int64) error {
	if err := p.file.Truncate(offset); err != nil {
		return err
	}
	_, err := p.file.Seek(offset, io.SeekStart)
	return err
}

// leave closes the file and the folder. What is not published stays only if
// another run may go on with it.
func (p *part) leave() {
	if p.published || p.kept && p.bytes > 0 {
		p.close()
	} else {
		p.drop()
	}
	p.folder.close()
}

// hash digests the next bytes of a file.
func (r *receiver) hash(h *digest.Hasher, f *os.File, size int64) error {
	if r.buf == nil {
		r.buf = make([]byte, bufferBytes)
	}
	if size > bufferBytes { // it takes a while, and the sender may wait for what was said
		if err := r.w.flush(); err != nil {
			return err
		}
	}
	for size > 0 {
		if err := context.Cause(r.ctx); err != nil {
			return err
		}
		n, err := f.Read(r.buf[:min(size, int64(len(r.buf)))])
		_, _ = h.Write(r.buf[:n]) // never fails
		size -= int64(n)
		if err == io.EOF && size > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}
