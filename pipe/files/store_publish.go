package files

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"mesh/pipe/digest"
	"mesh/pipe/files/disk"
	"mesh/proto"
)

// maxCopies bounds the numbers that --rename tries.
const maxCopies = 10000

// publishPart gives a durable file its name and returns that name. Other content that
// has the name makes room only with force, or stays beside with number; else it is
// [ErrIsThere]. With either, a file with the same content is kept. A rival is never
// replaced.
func (c *committer) publishPart(p *part) (name string, kept bool, err error) {
	if err := checkRivals(p.folder.disk, p.name, p.rivals); err != nil {
		return "", false, err
	}
	if c.force || c.number {
		info, err := p.folder.disk.Lstat(p.name)
		switch {
		case err == nil && c.isSame(p, info):
			return p.name, true, nil
		case err == nil && c.force:
			if err := checkReplace(p.folder.disk, p.name, info); err != nil {
				return "", false, err
			}
			return p.name, false, p.temp.Replace(p.name)
		}
	}
	name, err = publishNumbered(p.temp.Publish, p.name, c.number)
	return name, false, err
}

// isSame reports whether a file that has the name of a part holds the same. The sender
// does not hear of that: the part counts as stored all the same.
func (c *committer) isSame(p *part, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Size() != p.entry.Size {
		return false
	}
	if _, is, err := p.folder.disk.HasOther(p.name); is || err != nil {
		return false
	}
	sum, err := digestOf(p.folder.disk, p.name, info)
	if err != nil || sum != p.sum() {
		return false
	}
	c.account.note(p.folder.pathOf(p.name), info, sum)
	return true
}

// note notes that the peer has stored a file.
func (c *committer) note(p *part, name string) {
	if c.account == nil {
		return
	}
	if info, err := p.folder.disk.Lstat(name); err == nil {
		c.account.note(p.folder.pathOf(name), info, p.sum())
	}
}

// digestOf returns the digest of the file that info describes.
func digestOf(in *disk.Folder, name string, info fs.FileInfo) (sum digest.Digest, err error) {
	f, err := in.OpenSame(name, info)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	_, sum, err = digest.Copy(io.Discard, f)
	return sum, err
}

// checkReplace fails if --force may not replace what info describes and a name leads
// to: it is neither a file nor a link, or it has another name, which the file system
// takes for this one.
func checkReplace(in *disk.Folder, name string, info fs.FileInfo) error {
	if !isReplaceable(info) {
		return ErrIsThere
	}
	other, is, err := in.HasOther(name)
	if is {
		return takenError{other}
	}
	return err
}

// isReplaceable reports whether --force may replace what info describes: a file,
// or a link, which is not followed.
func isReplaceable(info fs.FileInfo) bool {
	return info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0
}

// publishNumbered gives a file its name with publish, or if that is taken and number is
// set, the name with the next free number. It returns the name.
func publishNumbered(publish func(as string) error, name string, number bool) (string, error) {
	as := name
	for n := 2; ; n++ {
		err := publish(as)
		if !errors.Is(err, fs.ErrExist) {
			return as, err
		}
		if !number || n == maxCopies {
			return "", ErrIsThere
		}
		if as = addNumber(name, n); len(as) > proto.MaxNameBytes {
			return "", ErrIsThere
		}
	}
}

// addNumber returns "name (2).ext".
func addNumber(name string, n int) string {
	ext := path.Ext(name)
	base := strings.TrimSuffix(name, ext)
	if base == "" {
		base, ext = ext, ""
	}
	return base + " (" + strconv.Itoa(n) + ")" + ext
}
