package files

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
)

// Pending is a file that is being written under a temporary name beside its own.
// [Pending.Commit] gives it its name. Until then nothing under that name changes.
type Pending struct {
	name   string // as the user gave it, for errors
	folder *disk.Folder
	base   string
	force  bool
	number bool // like --rename
	temp   *disk.Temp

	mu    sync.Mutex // held by Commit and Abort: the first of the two decides
	done  bool       // the file has its name
	whole bool       // Commit has succeeded
	ended bool       // by Abort
}

// Create begins a file called name. If something has that name, the error has the
// code [proto.Unsafe] and is [fs.ErrExist]. With force, only what is neither a
// regular file nor a link is an error, with the same code. Force replaces a link, and
// does not follow it. Warn is that of [ReceiveOptions]. The caller ends
// with [Pending.Abort].
func Create(name string, force bool, warn func(error)) (*Pending, error) {
	return create(&Pending{name: name, base: filepath.Base(name), force: force}, warn)
}

// CreateNumbered begins a file called name. If that is taken when it is committed,
// the file gets the next free number, as in "name (2).ext".
func CreateNumbered(name string, warn func(error)) (*Pending, error) {
	return create(&Pending{name: name, base: filepath.Base(name), number: true}, warn)
}

func create(p *Pending, warn func(error)) (*Pending, error) {
	name := p.name
	if p.base == "." || p.base == ".." || p.base == string(filepath.Separator) || name[len(name)-1] == filepath.Separator {
		return nil, proto.Errorf(proto.Unsafe, "%s is not the name of a file", name)
	}
	var err error
	if p.folder, err = disk.Open(filepath.Dir(name)); err != nil {
		return nil, proto.IOError(fmt.Errorf("create %s: %w", name, err))
	}
	p.folder.ReportLacks(warn)
	if err = p.checkName(); err == nil {
		if p.temp, err = p.folder.CreateRandomTemp(0o666); err != nil {
			err = proto.IOError(fmt.Errorf("create %s: %w", name, err))
		}
	}
	if err != nil {
		p.folder.Close()
		return nil, err
	}
	return p, nil
}

// checkName refuses a name that may not be written.
func (p *Pending) checkName() error {
	info, err := p.folder.Lstat(p.base)
	switch {
	case errors.Is(err, fs.ErrNotExist), p.number && err == nil:
		return nil
	case err != nil:
		return proto.IOError(fmt.Errorf("create %s: %w", p.name, err))
	case !isReplaceable(info):
		return proto.Errorf(proto.Unsafe, "%s is not a regular file", p.name)
	case !p.force:
		return p.errExists()
	}
	if err := checkReplace(p.folder, p.base, info); err != nil {
		return fmt.Errorf("create %s: %w", p.name, err)
	}
	return nil
}

// Probe fails if the folder of the file lacks something without which Commit must fail.
func (p *Pending) Probe() error {
	if err := p.folder.Probe(p.force); err != nil {
		return proto.IOError(fmt.Errorf("create %s: %w", p.name, disk.Cause(err)))
	}
	return nil
}

func (p *Pending) errExists() error {
	return proto.Errorf(proto.Unsafe, "create %s: %w", p.name, fs.ErrExist)
}

// Write writes to the temporary file.
func (p *Pending) Write(b []byte) (int, error) {
	n, err := p.temp.Write(b)
	if err != nil {
		return n, proto.IOError(fmt.Errorf("write %s: %w", p.name, disk.Cause(err)))
	}
	return n, nil
}

// Commit makes the file durable and gives it its name. Once it returns nil, the file
// survives a power cut. It fails after Abort.
func (p *Pending) Commit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.commit()
	p.whole = err == nil
	if err != nil {
		return proto.IOError(fmt.Errorf("publish %s: %w", p.name, disk.Cause(err)))
	}
	return nil
}

func (p *Pending) commit() error {
	if p.ended {
		return errAborted
	}
	if err := p.temp.Sync(); err != nil {
		return err
	}
	if err := p.publish(); err != nil {
		return err
	}
	p.done = true
	return errors.Join(p.temp.Close(), p.folder.Sync())
}

// publish gives the temporary file its name. Unless forced, it does not replace a
// file that has appeared since Create.
func (p *Pending) publish() error {
	if p.force {
		if err := p.checkName(); err != nil {
			return err
		}
		return p.temp.Replace(p.base)
	}
	as, err := publishNumbered(p.temp.Publish, p.base, p.number)
	if errors.Is(err, ErrIsThere) {
		return p.errExists()
	}
	if err != nil {
		return err
	}
	p.base = as
	return nil
}

// Base returns the last component of the file's name. After [Pending.Commit] it is
// the name that the file has got.
func (p *Pending) Base() string { return p.base }

// Note notes in a ledger whose file it is that was committed: see [ReceiveOptions]. The
// owner may repeat what it sent. Without the note, the repetition is one that is compared
// like anybody's.
func (p *Pending) Note(ledger *Ledger, owner string, sum digest.Digest) error {
	a := ledger.account(owner, filepath.Dir(p.name))
	info, err := p.folder.Lstat(p.base)
	if err != nil {
		return err
	}
	a.note(p.base, info, sum)
	return a.flush()
}

var errAborted = proto.Errorf(proto.IO, "the transfer has failed before")

// Abort removes the file if it was not committed, and closes all. It waits for a Commit
// that has begun, and reports whether that, or an earlier one, has succeeded. It may be
// called more than once.
func (p *Pending) Abort() (committed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		if !p.done {
			_ = p.temp.Remove()
		}
		p.folder.Close()
	}
	return p.whole
}
