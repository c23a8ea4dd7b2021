//go:build unix

package files_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
)

// Without force, what is there stays. With force, only files and links are replaced.
func TestExisting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("old"), 0o600),
		os.WriteFile(at("target"), []byte("target"), 0o600),
		os.Symlink("target", at("link")),
		os.Symlink("nowhere", at("dangling")),
		os.Symlink("sub", at("tosub")),
		os.Mkdir(at("sub"), 0o700),
		syscall.Mkfifo(at("fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "link", "dangling", "tosub", "sub", "fifo"} {
		_, err := files.Create(at(name), false, nil)
		xtest.WantCode(t, name, err, proto.Unsafe)
		if special := name == "sub" || name == "fifo"; errors.Is(err, fs.ErrExist) == special {
			t.Errorf("%s: got %v, want fs.ErrExist to be %t", name, err, !special)
		}
	}
	for _, name := range []string{"sub", "fifo", "../" + filepath.Base(dir), "/dev/null"} {
		if !filepath.IsAbs(name) {
			name = at(name)
		}
		_, err := files.Create(name, true, nil)
		xtest.WantCode(t, name+" with force", err, proto.Unsafe)
	}
	for _, name := range []string{"file", "link", "dangling", "tosub"} {
		p := create(t, at(name), true, "new")
		xtest.WantCode(t, name+" with force", p.Commit(), proto.OK)
		info, err := os.Lstat(at(name))
		if err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s with force: got %v (%v), want a regular file", name, info, err)
		}
	}
	wantFiles(t, dir, map[string]string{
		"file": "new", "link": "new", "dangling": "new", "tosub": "new", "target": "target", "sub": "", "fifo": "",
	})
	wantFiles(t, at("sub"), nil)
}

// A file that appears between Create and Commit was there first.
func TestAppeared(t *testing.T) {
	t.Parallel()
	for what, appear := range map[string]func(name string) error{
		"file":   func(name string) error { return os.WriteFile(name, []byte("first"), 0o600) },
		"link":   func(name string) error { return os.Symlink("nowhere", name) },
		"folder": func(name string) error { return os.Mkdir(name, 0o700) },
		"fifo":   func(name string) error { return syscall.Mkfifo(name, 0o600) },
	} {
		for _, force := range []bool{false, true} {
			dir := t.TempDir()
			name := filepath.Join(dir, "file")
			p := create(t, name, force, "second")
			if err := appear(name); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(name)
			if force && (what == "file" || what == "link") {
				xtest.WantCode(t, what+" with force", p.Commit(), proto.OK)
				wantFiles(t, dir, map[string]string{"file": "second"})
				continue
			}
			xtest.WantCode(t, what, p.Commit(), proto.Unsafe)
			p.Abort()
			if after, err := os.Lstat(name); err != nil || !os.SameFile(before, after) {
				t.Errorf("%s: got another (%v), want it untouched", what, err)
			}
			wantFiles(t, dir, map[string]string{"file": "first"})
		}
	}
}
