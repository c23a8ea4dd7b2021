package files

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"mesh/proto"
)

// linkAndRemove renames without replacing anything. A process that is killed in
// between leaves two names of a whole file.
func linkAndRemove(root *directory, from, to string) error {
	if err := root.Link(from, to); err != nil {
		return err
	}
	return root.Remove(from)
}

// maxCopies bounds the numbers that --rename tries.
const maxCopies = 10000

// publish gives a file that is whole and on the disk its name, and returns that.
func (s *store) publish(p *part) (string, error) {
	root, name := p.folder.root, p.name
	if s.o.Force {
		switch info, err := root.Lstat(name); {
		case err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
			return "", ErrIsThere
		case err == nil:
			return name, p.replace() // a link too, and follows none
		}
	}
	return publishAs(p.name, s.o.Rename, p.giveName)
}

// giveName gives a part a name that is not there yet.
func (p *part) giveName(name string) error {
	if p.bare.is {
		return p.bare.link(p.folder.root, name)
	}
	return rename(p.folder.root, p.temp, name)
}

// replace gives a part its name, in the place of what has it.
func (p *part) replace() error {
	root := p.folder.root
	if p.bare.is {
		if err := p.bare.link(root, p.temp); err != nil {
			return err
		}
	}
	err := root.Rename(p.temp, p.name)
	if err != nil && p.bare.is {
		_ = root.Remove(p.temp)
	}
	return err
}

// publishAs gives a name, or if that is taken and may be numbered, the next number
// that is free. It returns the name.
func publishAs(name string, number bool, publish func(name string) error) (string, error) {
	as := name
	for n := 2; ; n++ {
		err := publish(as)
		if !errors.Is(err, fs.ErrExist) {
			return as, err
		}
		if !number || n == maxCopies {
			return "", ErrIsThere
		}
		if as = numbered(name, n); len(as) > proto.MaxNameBytes {
			return "", ErrIsThere
		}
	}
}

// numbered is "name (2).ext".
func numbered(name string, n int) string {
	ext := path.Ext(name)
	base := strings.TrimSuffix(name, ext)
	if base == "" {
		base, ext = ext, ""
	}
	return base + " (" + strconv.Itoa(n) + ")" + ext
}

// ErrIsThere is why a file is not stored whose name another content has.
var ErrIsThere = proto.Errorf(proto.Unsafe, "there is something of that name already")
