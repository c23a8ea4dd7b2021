package listen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// put stores a file as an inbox does, and puts it on the shelf.
func put(t *testing.T, s shelf, dir, name string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := errors.Join(root.WriteFile(name, []byte(name), 0o600), s.add(root, name)); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// The newest files stay. A peer, a folder and a template have shelves of their own. What
// a clock says does not matter.
func TestShelf(t *testing.T) {
	t.Parallel()
	state, dir := t.TempDir(), t.TempDir()
	s := newShelf(state, dir, "al", "{time}", 3)
	for i := range 5 {
		name := fmt.Sprint("db-", 9-i) // the clock goes back each time
		put(t, s, dir, name)
	}
	wantNames(t, dir, "db-5", "db-6", "db-7")
	for _, other := range []shelf{newShelf(state, dir, "bo", "{time}", 1), newShelf(state, dir, "al", "x{time}", 1), newShelf(state, dir+"2", "al", "{time}", 1)} {
		put(t, other, dir, "z")
	}
	wantNames(t, dir, "db-5", "db-6", "db-7", "z")
	put(t, newShelf(state, dir, "al", "{time}", 1), dir, "db-4")
	wantNames(t, dir, "db-4", "z")
}

// What a person has put there or changed stays, and so does what a link leads to.
func TestShelfLeavesOthers(t *testing.T) {
	t.Parallel()
	state, dir, other := t.TempDir(), t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	precious := filepath.Join(other, "precious")
	if err := errors.Join(os.WriteFile(in("db-0"), []byte("of a person"), 0o600), os.WriteFile(precious, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := newShelf(state, dir, "al", "db-{time}", 2)
	names := []string{"db-1", "db-2", "db-3", "db-4", "db-5"}
	for _, name := range names {
		put(t, newShelf(state, dir, "al", "db-{time}", 5), dir, name)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := errors.Join(
		os.WriteFile(in("db-1"), []byte("written"), 0o600),      // changed
		os.Remove(in("db-2")), os.Symlink(precious, in("db-2")), // a link
		os.Remove(in("db-3")), os.WriteFile(in("db-3"), []byte("db-3"), 0o600), // the same content, put there anew
		os.Chtimes(in("db-4"), yesterday, yesterday), // touched
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db-6", "db-7", "db-8"} {
		put(t, s, dir, name)
	}
	wantNames(t, dir, "db-0", "db-1", "db-2", "db-3", "db-4", "db-7", "db-8")
	wantNames(t, other, "precious")

	// A list that is not whole names nothing.
	list, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path, list[:len(list)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, s, dir, "db-9")
	wantNames(t, dir, "db-0", "db-1", "db-2", "db-3", "db-4", "db-7", "db-8", "db-9")
}
