package local

import (
	"os"
	"path/filepath"

	"mesh/proto"
)

// reach returns a path of a socket that is short enough for the system: the one that is
// given, or one through a link to its folder. Call undo once the socket is made or dialled.
func reach(path string) (short string, undo func(), err error) {
	if len(path) <= MaxPathBytes {
		return path, func() {}, nil
	}
	dir, name := filepath.Split(path)
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, proto.IOError(err)
	}
	for _, in := range []string{os.TempDir(), "/tmp"} { // TMPDIR may be deep too
		var own string // no other user can enter it
		if own, err = os.MkdirTemp(in, "mesh"); err != nil {
			continue
		}
		link := filepath.Join(own, "d")
		undo := func() { _, _ = os.Remove(link), os.Remove(own) }
		short = filepath.Join(link, name)
		if err = os.Symlink(dir, link); err == nil && len(short) <= MaxPathBytes {
			return short, undo, nil
		}
		undo()
	}
	if err == nil {
		return "", nil, proto.Errorf(proto.Config, "%s: the path of a socket is at most %d bytes long", path, MaxPathBytes)
	}
	return "", nil, proto.Errorf(proto.Config, "%s: the path of a socket is at most %d bytes long, and there can be no link to its folder: %w", path, MaxPathBytes, err)
}
