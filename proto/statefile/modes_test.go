//go:build unix

package statefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/statefile"
	"mesh/proto/xtest"
)

// A file is refused if another user may write it, or put another one in its place.
func TestOthersMayWrite(t *testing.T) {
	t.Parallel()
	const stranger = 4711
	for _, tt := range []struct {
		what          string
		file, folder  fs.FileMode
		fileOf, dirOf int // 0: this user
		want          proto.Code
	}{
		{"private", 0o600, 0o700, 0, 0, proto.OK},
		{"readable by all", 0o644, 0o755, 0, 0, proto.OK},
		{"group-writable", 0o660, 0o700, 0, 0, proto.Config},
		{"writable by all", 0o606, 0o700, 0, 0, proto.Config},
		{"in a folder of the group", 0o600, 0o770, 0, 0, proto.Config},
		{"in a folder of all", 0o600, 0o707, 0, 0, proto.Config},
		{"in a sticky folder", 0o600, 0o777 | fs.ModeSticky, 0, 0, proto.OK},
		{"writable in a sticky folder", 0o620, 0o777 | fs.ModeSticky, 0, 0, proto.Config},
		{"of another user", 0o600, 0o700, stranger, 0, proto.Config},
		{"of another user, in a sticky folder", 0o600, 0o777 | fs.ModeSticky, stranger, 0, proto.Config},
		{"in a folder of another user", 0o600, 0o755, 0, stranger, proto.Config},
		{"in a sticky folder of another user", 0o600, 0o777 | fs.ModeSticky, 0, stranger, proto.Config},
	} {
		if (tt.fileOf != 0 || tt.dirOf != 0) && os.Geteuid() != 0 {
			continue // only root can give a file away
		}
		base := t.TempDir()
		dir := filepath.Join(base, "state")
		path, link, through := filepath.Join(dir, "list"), filepath.Join(base, "link"), filepath.Join(base, "through")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink("state/list", link), os.Symlink(link, through)); err != nil {
			t.Fatal(err)
		}
		write(t, path, "text", 0o600)
		for name, of := range map[string]int{path: tt.fileOf, dir: tt.dirOf} {
			if of != 0 {
				if err := os.Chown(name, of, of); err != nil {
					t.Skip(err)
				}
			}
		}
		if err := errors.Join(os.Chmod(path, tt.file), os.Chmod(dir, tt.folder)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, link, through} {
			text, err := statefile.Read(name, limit)
			xtest.WantCode(t, tt.what+": read "+filepath.Base(name), err, tt.want)
			if err == nil && string(text) != "text" {
				t.Errorf("%s: got %q", tt.what, text)
			}
			xtest.WantCode(t, tt.what+": check "+filepath.Base(name), statefile.Check(filepath.Dir(name), filepath.Base(name)), tt.want)
			xtest.WantCode(t, tt.what+": edit "+filepath.Base(name), statefile.Edit(name, limit, add("")), tt.want)
			if err != nil && !strings.Contains(err.Error(), dir) && !strings.Contains(err.Error(), name) {
				t.Errorf("%s: got %v, want a name in it", tt.what, err)
			}
		}
		xtest.WantCode(t, tt.what+": a missing file", statefile.Check(dir, "missing"), codeIf(tt.folder&^fs.ModeSticky&0o022 != 0 && tt.folder&fs.ModeSticky == 0 || tt.dirOf != 0))
	}
}

func codeIf(refused bool) proto.Code {
	if refused {
		return proto.Config
	}
	return proto.OK
}

// A link leads to the file that an edit replaces, and stays. Its own folder counts too.
func TestLinks(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	link, file := filepath.Join(base, "links", "list"), filepath.Join(base, "files", "real")
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o700), os.Mkdir(filepath.Dir(file), 0o700), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	write(t, file, "1", 0o644)
	if err := statefile.Edit(link, limit, add("2")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, "12", 0o644)
	if to, err := os.Readlink(link); to != file || err != nil {
		t.Errorf("got a link to %q (%v), want %q", to, err, file)
	}
	if err := os.Chmod(filepath.Dir(link), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := statefile.Read(link, limit)
	xtest.WantCode(t, "a link that others may replace", err, proto.Config)
}

// A FIFO is not waited for.
func TestFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	_, err := statefile.Read(path, limit)
	xtest.WantCode(t, "read", err, proto.Config)
	xtest.WantCode(t, "edit", statefile.Edit(path, limit, add("x")), proto.Config)
}

// A file that is write-protected is not replaced.
func TestWriteProtected(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everything")
	}
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, "1", 0o400)
	xtest.WantCode(t, "edit", statefile.Edit(path, limit, add("2")), proto.Config)
	wantFile(t, path, "1", 0o400)
}
