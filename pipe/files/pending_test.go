package files_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
)

// create begins a file and writes text to it.
func create(t *testing.T, name string, force bool, text string) *files.Pending {
	t.Helper()
	p, err := files.Create(name, force)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Abort)
	if _, err := p.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantCode(t *testing.T, what string, err error, want proto.Code) {
	t.Helper()
	if got := proto.CodeOf(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

// wantFiles compares the names in dir, and the text of each regular file.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, ok := want[e.Name()]
		switch {
		case !ok:
			t.Errorf("got %s, want it not there", e.Name())
		case e.Type().IsRegular(): // a read of a FIFO would wait
			if got, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil || string(got) != text {
				t.Errorf("%s: got %q (%v), want %q", e.Name(), got, err, text)
			}
		}
	}
	if len(entries) < len(want) {
		t.Errorf("got %v, want %v", entries, want)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", strings.Repeat("y", 256<<10+1)} {
		dir := t.TempDir()
		name := filepath.Join(dir, "file")
		p := create(t, name, false, text)
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("before Commit: got %v, want it not there", err)
		}
		wantCode(t, "Commit", p.Commit(), proto.OK)
		p.Abort()
		wantFiles(t, dir, map[string]string{"file": text})
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := create(t, filepath.Join(dir, "file"), false, "part")
	p.Abort()
	p.Abort()
	wantFiles(t, dir, nil)
}

// A name that cannot be a file's is refused, and nothing is made.
func TestNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", "..", "/", dir + "/", dir + "/sub", dir + "/sub/", dir + "/.", dir + "/sub/..", dir + "/new/"} {
		for _, force := range []bool{false, true} {
			p, err := files.Create(name, force)
			wantCode(t, name, err, proto.Unsafe)
			if err == nil {
				p.Abort()
			}
		}
	}
	_, err := files.Create(dir+"/missing/file", true)
	wantCode(t, "no such folder", err, proto.IO)
	_, err = files.Create(dir+"/"+strings.Repeat("n", 256), true)
	wantCode(t, "too long a name", err, proto.IO)
	wantFiles(t, dir, map[string]string{"sub": ""})

	// The longest name that there is, and odd ones, are a person's to choose.
	for _, base := range []string{strings.Repeat("n", 255), "-dash", " ", "a\nb"} {
		p := create(t, filepath.Join(dir, base), false, "x")
		wantCode(t, base, p.Commit(), proto.OK)
		if err := os.Remove(filepath.Join(dir, base)); err != nil {
			t.Error(err)
		}
	}
}

// What is there stays without force. With it files and links are replaced, and
// nothing else.
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
		_, err := files.Create(at(name), false)
		wantCode(t, name, err, proto.Unsafe)
		if special := name == "sub" || name == "fifo"; errors.Is(err, fs.ErrExist) == special {
			t.Errorf("%s: got %v, want fs.ErrExist to be %t", name, err, !special)
		}
	}
	for _, name := range []string{"sub", "fifo", "../" + filepath.Base(dir), "/dev/null"} {
		if !filepath.IsAbs(name) {
			name = at(name)
		}
		_, err := files.Create(name, true)
		wantCode(t, name+" with force", err, proto.Unsafe)
	}
	for _, name := range []string{"file", "link", "dangling", "tosub"} {
		p := create(t, at(name), true, "new")
		wantCode(t, name+" with force", p.Commit(), proto.OK)
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

// What comes between Create and Commit is there first.
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
				wantCode(t, what+" with force", p.Commit(), proto.OK)
				wantFiles(t, dir, map[string]string{"file": "second"})
				continue
			}
			wantCode(t, what, p.Commit(), proto.Unsafe)
			p.Abort()
			if after, err := os.Lstat(name); err != nil || !os.SameFile(before, after) {
				t.Errorf("%s: got another (%v), want it untouched", what, err)
			}
			wantFiles(t, dir, map[string]string{"file": "first"})
		}
	}
}

// The folder is the one that was opened, whatever its path means later.
func TestFolderSwapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"to", "elsewhere"} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p := create(t, at("to/file"), false, "half ")
	if err := errors.Join(os.Rename(at("to"), at("moved")), os.Symlink("elsewhere", at("to"))); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "Commit", p.Commit(), proto.OK)
	wantFiles(t, at("moved"), map[string]string{"file": "half whole"})
	wantFiles(t, at("elsewhere"), nil)
}

// A file made under the umask has no more rights than others that a person
// makes.
func TestMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "Commit", create(t, filepath.Join(dir, "ours"), false, "").Commit(), proto.OK)
	theirs, _ := os.Stat(filepath.Join(dir, "theirs"))
	ours, err := os.Stat(filepath.Join(dir, "ours"))
	if err != nil || ours.Mode() != theirs.Mode() {
		t.Errorf("got mode %v (%v), want %v", ours.Mode(), err, theirs.Mode())
	}
}
