package files_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
)

// create begins a file and writes text to it.
func create(t *testing.T, name string, force bool, text string) *files.Pending {
	t.Helper()
	p, err := files.Create(name, force, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Abort() })
	if _, err := p.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
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
		xtest.WantCode(t, "Commit", p.Commit(), proto.OK)
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

// A name that no file can have is refused, and nothing is made.
func TestNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", "..", "/", dir + "/", dir + "/sub", dir + "/sub/", dir + "/.", dir + "/sub/..", dir + "/new/"} {
		for _, force := range []bool{false, true} {
			p, err := files.Create(name, force, nil)
			xtest.WantCode(t, name, err, proto.Unsafe)
			if err == nil {
				p.Abort()
			}
		}
	}
	_, err := files.Create(dir+"/missing/file", true, nil)
	xtest.WantCode(t, "no such folder", err, proto.IO)
	_, err = files.Create(dir+"/"+strings.Repeat("n", 256), true, nil)
	xtest.WantCode(t, "too long a name", err, proto.IO)
	wantFiles(t, dir, map[string]string{"sub": ""})

	// A user may choose the longest possible name, and odd ones.
	for _, base := range []string{strings.Repeat("n", 255), "-dash", " ", "a\nb"} {
		p := create(t, filepath.Join(dir, base), false, "x")
		xtest.WantCode(t, base, p.Commit(), proto.OK)
		if err := os.Remove(filepath.Join(dir, base)); err != nil {
			t.Error(err)
		}
	}
}

// The file goes into the folder that Create opened, whatever its path leads to later.
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
	xtest.WantCode(t, "Commit", p.Commit(), proto.OK)
	wantFiles(t, at("moved"), map[string]string{"file": "half whole"})
	wantFiles(t, at("elsewhere"), nil)
}

// The umask applies to the file as to any other.
func TestMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "Commit", create(t, filepath.Join(dir, "ours"), false, "").Commit(), proto.OK)
	theirs, _ := os.Stat(filepath.Join(dir, "theirs"))
	ours, err := os.Stat(filepath.Join(dir, "ours"))
	if err != nil || ours.Mode() != theirs.Mode() {
		t.Errorf("got mode %v (%v), want %v", ours.Mode(), err, theirs.Mode())
	}
}

// Of Commit and Abort at the same time, the first decides: the file is there if Commit
// succeeds, and then Abort says so.
func TestCommitOrAbort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 200 {
		name := filepath.Join(dir, fmt.Sprint(i))
		p, err := files.Create(name, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write([]byte("data")); err != nil {
			t.Fatal(err)
		}
		begin, committed := make(chan struct{}), make(chan error)
		go func() {
			<-begin
			committed <- p.Commit()
		}()
		close(begin)
		told := p.Abort()
		err = <-committed
		_, serr := os.Stat(name)
		if is := serr == nil; is != (err == nil) || is != told || p.Abort() != told {
			t.Fatalf("there: %t; Commit got %v, Abort told %t", is, err, told)
		}
	}
	if left, err := os.ReadDir(dir); err != nil {
		t.Error(err)
	} else {
		for _, e := range left {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("left behind: %s", e.Name())
			}
		}
	}
}
