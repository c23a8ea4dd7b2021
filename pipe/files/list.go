package files

import (
	"errors"
	"fmt"
	"path/filepath"

	"mesh/proto"
	"mesh/proto/wire"
)

// List calls show for each entry that [Send] would announce, with its path, a
// folder's ending in a slash, safe to print. It reads no file.
func List(names []string, o SendOptions, show func(path string) error) error {
	find, err := newFinder(names, o)
	if err != nil {
		return err
	}
	defer find.close()
	t := tally{report: o.Report}
	for it := find.next(); it != nil; it = find.next() {
		path := proto.EscapeText(it.path)
		switch {
		case it.err != nil:
			if !o.SkipSpecial || !errors.Is(it.err, errSpecial) {
				t.fail(path, it.err)
			}
			continue
		case it.kind == wire.EntryFolder:
			path += "/"
		}
		if err := show(path); err != nil {
			return err
		}
	}
	return t.err()
}

// CheckTarget wants name to be one that a file can be stored under in a folder.
func CheckTarget(name string) error {
	if name == "." || name == ".." || name != filepath.Base(name) {
		return fmt.Errorf("%q is not the name of a file", name)
	}
	return nil
}
