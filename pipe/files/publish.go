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

// publish gives a file that is whole and on the disk its name.
func (s *store) publish(p *part) error {
	root, name := p.folder.root, p.name
	if s.o.Force {
		switch info, err := root.Lstat(name); {
		case err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
			return errIsThere
		case err == nil:
			return root.Rename(p.temp, name) // replaces a link, and follows none
		}
	}
	for n := 2; ; n++ {
		err := rename(root, p.temp, name)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !s.o.Rename || n == maxCopies {
			return errIsThere
		}
		if name = numbered(p.name, n); len(name) > proto.MaxNameBytes {
			return errIsThere
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

var errIsThere = proto.Errorf(proto.Unsafe, "there is something of that name already")
