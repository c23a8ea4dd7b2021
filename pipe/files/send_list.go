package files

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// List calls show with the path of each entry that [Send] would announce, and how many
// bytes of it would be sent. The path of a folder ends in a slash. Paths are safe to
// print. It reads no file.
func List(names []string, o SendOptions, show func(path string, size int64) error) error {
	find, err := newFinder(names, o)
	if err != nil {
		return err
	}
	defer find.close()
	p, sum := problems{report: o.Report}, summer{o: o}
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
		if err := show(path, sum.bytesOf(it)); err != nil {
			return err
		}
	}
	return p.err()
}
