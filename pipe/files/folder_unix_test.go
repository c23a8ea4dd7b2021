//go:build unix

package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
)

// bigData is a file that is stored in pieces, and small one that fits into its frame.
var bigData = bytes.Repeat([]byte("large"), proto.SmallFileBytes/2)

// folderTree makes t/{a,b,c,z}, each with a small and a large file.
func folderTree(t *testing.T) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "t")
	for _, name := range []string{"a", "b", "c", "z"} {
		write(t, filepath.Join(tree, name, "small"), []byte(name))
		write(t, filepath.Join(tree, name, "large"), append([]byte(name), bigData...))
	}
	return tree
}

// A folder in which nothing can be stored is a fault of what is in it. Everything else
// is stored, and both ends name what is not.
func TestBadFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	for mode, refused := range map[os.FileMode][]string{0o555: {"t/b/large", "t/b/small"}, 0: {"t/b", "t/b/large", "t/b/small"}, 0o600: {"t/b", "t/b/large", "t/b/small"}} {
		for _, existing := range []string{"t/b", "t/a t/b t/c t/z"} { // the others are fresh, or not
			tree, to := folderTree(t), t.TempDir()
			for name := range strings.FieldsSeq(existing) {
				if err := os.MkdirAll(filepath.Join(to, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			bad := filepath.Join(to, "t", "b")
			if err := os.Chmod(bad, mode); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(bad, 0o755) })
			r := run{recv: files.ReceiveOptions{Minor1: true}}
			r.transfer(t, to, tree)
			r.wantCodes(t, proto.IO, proto.IO)
			if line := refused[0] + ": io: the peer does not store it (io): permission denied"; !slices.Contains(r.sendLines, line) {
				t.Errorf("%04o: the sender says %q, want %q", mode, r.sendLines, line)
			}
			for _, name := range []string{"a", "c", "z"} {
				if got := read(t, filepath.Join(to, "t", name, "small")); got != name {
					t.Errorf("%04o: %s/small holds %q", mode, name, got)
				}
				if got := read(t, filepath.Join(to, "t", name, "large")); got != name+string(bigData) {
					t.Errorf("%04o: %s/large holds %d bytes", mode, name, len(got))
				}
			}
			for end, lines := range map[string][]string{"sender": r.sendLines, "receiver": r.recvLines} {
				for _, path := range refused[:1] {
					if !strings.Contains(strings.Join(lines, "\n"), path+": ") {
						t.Errorf("%04o: the %s names %q, want %s", mode, end, lines, path)
					}
				}
			}
			if info, err := os.Stat(bad); err != nil || info.Mode().Perm() != mode {
				t.Errorf("got %v (%v), want mode %04o as before", info, err, mode)
			}
		}
	}
}

// wantFolder compares the mode and the time of a folder.
func wantFolder(t *testing.T, what, path string, mode os.FileMode, mtime time.Time) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&^os.ModeDir != mode {
		t.Errorf("%s: got mode %v, want %v", what, info.Mode(), mode)
	}
	if !mtime.IsZero() && !info.ModTime().Equal(mtime) {
		t.Errorf("%s: got time %v, want %v", what, info.ModTime(), mtime)
	}
}

// A folder that the sender's mode makes read-only takes what is added at the sender.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	old := time.Unix(1_000_000_000, 0)
	for _, mode := range []os.FileMode{0o555, 0o500, 0o511} {
		tree, to := folderTree(t), t.TempDir()
		source, sub := filepath.Join(tree, "b"), filepath.Join(to, "t", "b")
		unlock := func() { _, _ = os.Chmod(source, 0o755), os.Chmod(sub, 0o755) }
		t.Cleanup(unlock)
		for i := range 3 {
			if err := os.Chmod(source, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(source, fmt.Sprint("added", i)), []byte("added"))
			write(t, filepath.Join(source, fmt.Sprint("addedlarge", i)), bigData)
			at := old.Add(time.Duration(i) * time.Hour)
			if err := errors.Join(os.Chmod(source, mode), os.Chtimes(source, at, at)); err != nil {
				t.Fatal(err)
			}
			var r run
			r.transfer(t, to, tree)
			r.wantCodes(t, proto.OK, proto.OK)
			wantFolder(t, fmt.Sprintf("%04o, transfer %d", mode, i), sub, mode, at)
			if got := read(t, filepath.Join(sub, fmt.Sprint("added", i))); got != "added" {
				t.Errorf("got %q", got)
			}
		}
	}
}

// A folder that was there already keeps its mode, and its time is not the sender's.
func TestExistingFolder(t *testing.T) {
	t.Parallel()
	old := time.Unix(1_000_000_000, 0)
	for _, mode := range []os.FileMode{0o755, 0o700, 0o777 | os.ModeSticky, 0o770 | os.ModeSticky, 0o755 | os.ModeSetgid} {
		tree, to := folderTree(t), t.TempDir()
		sub := filepath.Join(to, "t", "b")
		write(t, filepath.Join(sub, "small"), []byte("b"))
		write(t, filepath.Join(sub, "large"), append([]byte("b"), bigData...))
		if err := errors.Join(os.Chmod(sub, mode), os.Chtimes(sub, old, old)); err != nil {
			t.Fatal(err)
		}
		var r run
		r.transfer(t, to, tree)
		r.wantCodes(t, proto.OK, proto.OK)
		wantFolder(t, fmt.Sprint(mode), sub, mode, old)
	}
}

// A delivery that broke leaves folders that are not as the sender's. Its repeat brings
// them there.
func TestRepeatedFolder(t *testing.T) {
	t.Parallel()
	mtime := time.Unix(1_000_000_000, 0)
	for _, mode := range []os.FileMode{0o755, 0o555, 0o500, 0o700} {
		tree, to := folderTree(t), t.TempDir()
		source, sub := filepath.Join(tree, "b"), filepath.Join(to, "t", "b")
		t.Cleanup(func() { _, _ = os.Chmod(source, 0o755), os.Chmod(sub, 0o755) })
		if err := errors.Join(os.Chmod(source, mode), os.Chtimes(source, mtime, mtime)); err != nil {
			t.Fatal(err)
		}
		broken := run{recv: files.ReceiveOptions{MaxEntries: 5}} // t, a, two files of a, b
		broken.transfer(t, to, tree)
		broken.wantCodes(t, proto.Truncated, proto.Space)
		if _, err := os.Stat(sub); err != nil {
			t.Fatalf("the folder is not made: %v", err)
		}
		var again run
		again.transfer(t, to, tree)
		again.wantCodes(t, proto.OK, proto.OK)
		wantFolder(t, fmt.Sprintf("%04o", mode), sub, mode, mtime)
		if got := read(t, filepath.Join(sub, "small")); got != "b" {
			t.Errorf("got %q", got)
		}
	}
}
