//go:build unix

package cmdline_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mesh/tools/cmdline"
)

func TestOpenEvents(t *testing.T) {
	t.Parallel()
	write := func(c *cli.Context) error {
		f, err := cmdline.OpenEvents(c.String("events"))
		if err != nil || f == nil {
			return err
		}
		if _, err := f.WriteString("{}\n"); err != nil {
			return err
		}
		return f.Close()
	}
	want := func(path string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != "{}\n" {
			t.Errorf("got %q, %v, want an event", b, err)
		}
	}
	if status, _, stderr := call(t, write, "mesh-probe"); status != 0 {
		t.Errorf("no --events: got %d, %s", status, stderr)
	}

	path := filepath.Join(t.TempDir(), "file")
	if status, _, stderr := call(t, write, "mesh-probe", "--events", path); status != 0 {
		t.Errorf("a file: got %d, %s", status, stderr)
	}
	want(path)

	// An existing file gets mode 0600: an event may hold a token.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := call(t, write, "mesh-probe", "--events", path); status != 0 {
		t.Errorf("an existing file: got %d, %s", status, stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("an existing file: got mode %v, %v, want 0600", info.Mode(), err)
	}

	path += "2"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// A child inherits a descriptor that does not close on exec. OpenEvents owns and
	// closes this one.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, 100)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := call(t, write, "mesh-probe", "--events", strconv.Itoa(fd)); status != 0 {
		t.Errorf("a descriptor: got %d, %s", status, stderr)
	}
	want(path)

	for _, bad := range []string{"-1", "9999", strconv.Itoa(int(f.Fd()))} {
		if status, _, stderr := call(t, write, "mesh-probe", "--events="+bad); status != 2 {
			t.Errorf("--events=%s: got %d, %q, want a usage error", bad, status, stderr)
		}
	}
}
