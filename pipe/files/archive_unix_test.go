//go:build unix

package files_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
)

// A tree goes to an archive, twice, and from there to a folder. Nothing is lost. A zip
// has whole seconds.
func TestArchiveTree(t *testing.T) {
	t.Parallel()
	for _, format := range []string{files.Zip, files.Tar} {
		from, to := tree(t), t.TempDir()
		if err := os.Symlink("../one", filepath.Join(from, "sub.d", "link")); err != nil {
			t.Fatal(err)
		}
		if format == files.Zip {
			at := time.Unix(1234567890, 0)
			err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
				at = at.Add(time.Hour + time.Second)
				if d.Type()&fs.ModeSymlink != 0 {
					return err
				}
				return os.Chtimes(path, at, at)
			})
			if err != nil {
				t.Fatal(err)
			}
		} else if err := os.Chtimes(filepath.Join(from, "sub.d"), time.Unix(5, 5), time.Unix(5, 5)); err != nil {
			t.Fatal(err)
		}
		alone := filepath.Join(t.TempDir(), "alone")
		write(t, alone, xtest.Random(large))
		var archives [2]bytes.Buffer
		for i := range archives {
			var r run
			r.collect(t, format, &archives[i], alone, from)
			r.wantCodes(t, proto.OK, proto.OK)
			if r.sent != r.received || r.sent.Files != 16 {
				t.Errorf("%s: got %+v and %+v, want 16 files", format, r.sent, r.received)
			}
		}
		if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
			t.Errorf("%s: got two archives of one tree", format)
		}
		name := filepath.Join(t.TempDir(), "archive")
		write(t, name, archives[0].Bytes())
		t.Cleanup(func() { os.Chmod(filepath.Join(to, "tree", "sub"), 0o755) })
		var r run
		r.send.Archive = true
		r.transfer(t, to, name)
		r.wantCodes(t, proto.OK, proto.OK)
		wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))
		if got := read(t, filepath.Join(to, "alone")); got != string(xtest.Random(large)) {
			t.Errorf("%s: alone is another file", format)
		}
	}
}
