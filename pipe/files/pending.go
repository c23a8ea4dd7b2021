package files

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mesh/proto"
)

// Pending is a file that is being written beside its name, under a temporary
// one. [Pending.Commit] gives it its name; until then nothing under that name
// changes.
type Pending struct {
	name   string // as the person gave it, for errors
	dir    *os.Root
	base   string
	temp   string
	force  bool
	number bool // like --rename
	file   *os.File
	done   bool
}

// Create begins a file called name. An existing name is an error with code
// [proto.Unsafe] that is [fs.ErrExist], with force only if it is not a regular file or a link: force
// replaces, and follows nothing.
func Create(name string, force bool) (*Pending, error) {
	return create(&Pending{name: name, base: filepath.Base(name), force: force})
}

// CreateNumbered begins a file called name, or when that is taken at the end, like
// "name (2).ext" with the next number that is free.
func CreateNumbered(name string) (*Pending, error) {
	return create(&Pending{name: name, base: filepath.Base(name), number: true})
}

func create(p *Pending) (*Pending, error) {
	name := p.name
	if p.base == "." || p.base == ".." || p.base == string(filepath.Separator) || name[len(name)-1] == filepath.Separator {
		return nil, proto.Errorf(proto.Unsafe, "%s is not the name of a file", name)
	}
	var err error
	if p.dir, err = os.OpenRoot(filepath.Dir(name)); err != nil {
		return nil, proto.IOError(fmt.Errorf("create %s: %w", name, err))
	}
	if err := p.check(); err != nil {
		p.dir.Close()
		return nil, err
	}
	// The name does not begin with the file's: that may be as long as a name
	// can be.
	p.temp = ".mesh-" + rand.Text() + ".part"
	if p.file, err = p.dir.OpenFile(p.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		p.dir.Close()
		return nil, proto.IOError(fmt.Errorf("create %s: %w", name, err))
	}
	return p, nil
}

// check refuses a name that may not be written.
func (p *Pending) check() error {
	info, err := p.dir.Lstat(p.base)
	switch {
	case errors.Is(err, fs.ErrNotExist), p.number && err == nil:
		return nil
	case err != nil:
		return proto.IOError(fmt.Errorf("create %s: %w", p.name, err))
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return proto.Errorf(proto.Unsafe, "%s is not a regular file", p.name)
	case !p.force:
		return p.exists()
	}
	return nil
}

func (p *Pending) exists() error {
	return proto.Errorf(proto.Unsafe, "create %s: %w", p.name, fs.ErrExist)
}

// Write writes to the temporary file.
func (p *Pending) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	if err != nil {
		return n, proto.IOError(fmt.Errorf("write %s: %w", p.name, cause(err)))
	}
	return n, nil
}

// Commit makes the file durable and gives it its name. Once it returns nil the
// file survives a power cut.
func (p *Pending) Commit() error {
	if err := p.commit(); err != nil {
		return proto.IOError(fmt.Errorf("publish %s: %w", p.name, cause(err)))
	}
	return nil
}

func (p *Pending) commit() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := p.publish(); err != nil {
		return err
	}
	p.done = true
	return syncDir(p.dir)
}

// publish gives the temporary file its name without replacing one that came in
// the meantime, unless forced.
func (p *Pending) publish() error {
	if p.force {
		if err := p.check(); err != nil {
			return err
		}
		return p.dir.Rename(p.temp, p.base)
	}
	as, err := publishAs(p.base, p.number, func(name string) error { return p.dir.Link(p.temp, name) })
	if errors.Is(err, ErrIsThere) {
		return p.exists()
	}
	if err != nil {
		return err
	}
	p.base = as
	return p.dir.Remove(p.temp)
}

// Base returns the last part of the file's name. After [Pending.Commit] it is
// that which the file has got.
func (p *Pending) Base() string { return p.base }

// Abort takes away what was not committed. It may be called after Commit.
func (p *Pending) Abort() {
	if !p.done {
		_ = p.file.Close()
		_ = p.dir.Remove(p.temp)
	}
	_ = p.dir.Close()
}

// cause leaves out of an error what names the temporary file.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
