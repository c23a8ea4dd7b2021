package files

import (
	"errors"
	"io"
	"io/fs"
	"time"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// errNoTarget refuses a link whose file is not stored.
var errNoTarget = proto.Errorf(proto.Unsafe, "it is another name of a file that is not stored")

// storedAs is a file of this delivery as it was published.
type storedAs struct {
	folder *folder
	name   string
	info   fs.FileInfo
}

// targetOf returns what links to a part can lead to, nil if none may follow.
func targetOf(p *part) *storedAs {
	if !p.entry.Links {
		return nil
	}
	info, err := p.temp.Stat()
	if err != nil {
		return nil
	}
	return &storedAs{folder: p.folder, info: info}
}

// publishedAs adds the name.
func (s *storedAs) publishedAs(name string) *storedAs {
	if s != nil {
		s.name = name
	}
	return s
}

// link is another name of a file of this delivery.
type link struct {
	folder *folder // open
	entry  *wire.Entry
	name   string
	rivals []string
	target *part
}

// publishLink makes the hard link, or where there can be none a copy of the file. A link
// that cannot be stored is refused, which ends nothing.
func (c *committer) publishLink(l *link) error {
	a, err := c.storeLink(l)
	switch {
	case err == nil:
		c.results.countStored(l.folder, a, 1, 0)
		return nil
	case proto.CodeOf(proto.IOError(err)) == proto.Space:
		return errWriting(l.entry, err)
	case errors.Is(err, disk.ErrReplaced) || errors.Is(err, fs.ErrNotExist):
		err = errNoTarget
	}
	c.results.refuseEntry(l.folder, l.entry, refuse(err))
	return nil
}

func (c *committer) storeLink(l *link) (Arrival, error) {
	target := l.target.as
	if target == nil || target.info.Size() != l.entry.Size {
		return Arrival{}, errNoTarget
	}
	if err := checkRivals(l.folder.disk, l.name, l.rivals); err != nil {
		return Arrival{}, err
	}
	if err := target.folder.open(); err != nil {
		return Arrival{}, err
	}
	defer target.folder.close()
	name, err := publishNumbered(func(as string) error {
		return target.folder.disk.Link(target.name, target.info, l.folder.disk, as)
	}, l.name, c.number)
	if err != nil && !errors.Is(err, disk.ErrReplaced) && !errors.Is(err, ErrIsThere) {
		name, err = c.copyTarget(l)
	}
	if err != nil {
		return Arrival{}, err
	}
	if info, err := l.folder.disk.Lstat(name); err == nil {
		c.account.note(l.folder.pathOf(name), info, l.target.sum())
	}
	return Arrival{Name: name, Bytes: l.entry.Size, Stored: 1}, nil
}

// copyTarget publishes a durable copy of the file that a link leads to, and returns its
// name.
func (c *committer) copyTarget(l *link) (string, error) {
	target, e := l.target.as, l.target.entry
	from, err := target.folder.disk.OpenSame(target.name, target.info)
	if err != nil {
		return "", err
	}
	defer from.Close()
	temp, err := l.folder.disk.CreateRandomTemp(modeOf(e))
	if err != nil {
		return "", err
	}
	_, sum, err := digest.Copy(temp, io.LimitReader(from, e.Size+1))
	if err == nil && sum != l.target.sum() {
		err = disk.ErrReplaced
	}
	if err == nil {
		err = temp.RestrictMode(modeOf(e))
	}
	if err == nil && l.folder.takesTime(e.Mtime) {
		err = temp.SetTime(time.Unix(0, e.Mtime))
	}
	if err == nil {
		err = temp.Sync()
	}
	name := ""
	if err == nil {
		name, err = publishNumbered(temp.Publish, l.name, c.number)
	}
	if err != nil {
		_ = temp.Remove()
		return "", err
	}
	return name, temp.Close()
}
