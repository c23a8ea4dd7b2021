package statefile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"mesh/proto"
	"mesh/proto/statefile"
	"mesh/proto/xtest"
)

const limit = 1 << 10

// add returns an edit that appends text.
func add(text string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(slices.Clone(old), text...), nil }
}

func write(t *testing.T, path, text string, perm fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, path, want string, perm fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: got %q (%v), want %q", path, got, err, want)
	}
	if info, err := os.Lstat(path); err == nil && runtime.GOOS != "windows" && info.Mode() != perm {
		t.Errorf("%s: got mode %v, want %v", path, info.Mode(), perm)
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "list")
	for _, text := range []string{"", "one\n", "one\ntwo\n"} {
		if got, err := statefile.Read(path, limit); string(got) != text || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %q (%v), want %q", got, err, text)
		}
		next := map[string]string{"": "one\n", "one\n": "two\n", "one\ntwo\n": ""}[text]
		if err := statefile.Edit(path, limit, add(next)); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, path, "one\ntwo\n", 0o600)

	write(t, path, "old\n", 0o640) // what others may read, they may still read
	write(t, filepath.Join(dir, ".list.tmp"), "left by a process that was killed", 0o600)
	if err := statefile.Edit(path, limit, add("new\n")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "old\nnew\n", 0o640)

	failure := errors.New("no")
	err := statefile.Edit(path, limit, func([]byte) ([]byte, error) { return []byte("x"), failure })
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want the error of f", err)
	}
	wantFile(t, path, "old\nnew\n", 0o640)

	none := filepath.Join(dir, "none") // nothing is written to a file that is not there
	if err := statefile.Edit(none, limit, add("")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".mesh.lock", "list"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got the names %q (%v), want %q", names, err, want)
	}
}

// No edit is lost, whoever makes it.
func TestEditTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	const edits = 50
	var wg sync.WaitGroup
	for i := range edits {
		wg.Go(func() {
			if err := statefile.Edit(path, limit, add(fmt.Sprintf("%02d\n", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	text, err := statefile.Read(path, limit)
	lines := strings.Fields(string(text))
	slices.Sort(lines)
	if err != nil || len(slices.Compact(lines)) != edits {
		t.Errorf("got %q (%v), want %d lines", lines, err, edits)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	for size, want := range map[int]proto.Code{0: proto.OK, limit - 1: proto.OK, limit: proto.OK, limit + 1: proto.Config} {
		write(t, path, strings.Repeat("x", size), 0o600)
		text, err := statefile.Read(path, limit)
		xtest.WantCode(t, fmt.Sprintf("read %d bytes", size), err, want)
		if err == nil && len(text) != size {
			t.Errorf("got %d bytes, want %d", len(text), size)
		}
		xtest.WantCode(t, fmt.Sprintf("edit %d bytes", size), statefile.Edit(path, limit, add("")), want)
	}
}

// What is no file is refused, and not waited for.
func TestNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Symlink("nothing", filepath.Join(dir, "dangling")),
		os.Symlink("round", filepath.Join(dir, "round")), os.Symlink("folder", filepath.Join(dir, "link")),
	); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"folder", "dangling", "round", "link", "folder/x/y"} {
		path := filepath.Join(dir, name)
		_, err := statefile.Read(path, limit)
		if name == "folder/x/y" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: got %v, want that it does not exist", name, err)
			}
			continue
		}
		xtest.WantCode(t, "read "+name, err, proto.Config)
		xtest.WantCode(t, "edit "+name, statefile.Edit(path, limit, add("x")), proto.Config)
	}
	write(t, filepath.Join(dir, "file"), "", 0o600)
	xtest.WantCode(t, "edit below a file", statefile.Edit(filepath.Join(dir, "file", "list"), limit, add("x")), proto.Config)
}
