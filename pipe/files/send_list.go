package files

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// List calls show with the path of each entry that [Send] would announce. The path
// of a folder ends in a slash. Paths are safe to print. It reads no file.
func List(names []string, o SendOptions, show func(path string) error) error {
	find, err := newFinder(names, o)
	if err != nil {
		return err
	}
	defer find.close()
	p := problems{report: o.Report}
	for it := find.next(); it != nil; it = find.next() {
		path := proto.EscapeText(it.path)
		switch {
		case it.err != nil:
			if !o.skips(it.err) {
				p.addFailed(path, it.err)
			}
			continue
		case it.kind == wire.EntryFolder:
			path += "/"
		}
		if err := show(path); err != nil {
			return err
		}
	}
	return p.err()
}
