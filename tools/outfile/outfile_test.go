package outfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/tools/outfile"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "second"} { // new, and over an old one
		if err := outfile.Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("got mode %v, %v, want 0600", i.Mode(), err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if err := outfile.Write(link, []byte("x"), 0o600); proto.CodeOf(err) != proto.Unsafe {
		t.Errorf("a link: got %v, want unsafe", err)
	}
	err := outfile.Write(filepath.Join(dir, "no", "f"), nil, 0o600)
	if proto.CodeOf(err) != proto.IO || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("no folder: got %v, want io, and no temporary name", err)
	}
	if err := outfile.Write(dir, nil, 0o600); proto.CodeOf(err) != proto.Unsafe {
		t.Errorf("a folder: got %v, want unsafe", err)
	}
	if err := outfile.Write(os.DevNull, []byte("x"), 0o600); err != nil {
		t.Errorf("a device: %v", err)
	}
	if i, err := os.Stat(os.DevNull); err != nil || i.Mode().IsRegular() {
		t.Fatalf("the device was replaced: %v, %v", i, err)
	}
	wantNames(t, dir, "f", "link")
}

func TestSymlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "link")
	for _, target := range []string{"one", "two"} {
		if err := outfile.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("got %q, %v, want %q", got, err, target)
		}
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := outfile.Symlink("one", folder); err == nil {
		t.Error("a folder was replaced")
	}
	wantNames(t, dir, "folder", "link")
}

// wantNames wants dir to have these names and no temporary one.
func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got the names %q, want %q", got, want)
	}
}
