package local_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mesh/pipe/local"
	"mesh/proto"
)

// A socket at the longest path works, is open to its user alone, replaces a dead one,
// and Close removes it.
func TestListen(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "m") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, strings.Repeat("s", local.MaxPathBytes-len(dir)-1))
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), fs.ModeSocket|0o600; got != want && runtime.GOOS != "windows" {
		t.Errorf("mode %v, want %v", got, want)
	}
	if got := l.Addr().String(); got != path {
		t.Errorf("address %s, want %s", got, path)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: got %v, want that it does not exist", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("files left in the folder: %v", names)
	}
}

// A second Close does not remove a socket that has since been made at the same path.
func TestCloseTwice(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "name.sock")
	first, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	second, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second socket is gone: %v", err)
	}
}

// Close does not remove the socket of a listener that has replaced this one.
func TestCloseLeavesSuccessor(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "name.sock")
	first, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("dial the second socket: %v", err)
	}
	_ = c.Close()
}

// A socket in a deep folder works as any other one, also where the folder for temporary files
// is deep, and leaves nothing there. Without such a folder the error says what is wrong.
func TestDeepFolder(t *testing.T) {
	deep := t.TempDir()
	for _, dir := range []string{"d", "deep"} {
		dir = filepath.Join(deep, strings.Repeat(dir, 30))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "socket-of-a-tool")
		for _, temp := range []string{"/tmp", dir} {
			t.Setenv("TMPDIR", temp)
			before, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			l, err := local.Listen(path)
			if runtime.GOOS == "windows" && err != nil {
				t.Skipf("no links here: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, dial := range []func(context.Context, string) (net.Conn, error){local.Dial, local.DialOwner} {
				c, err := dial(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				_ = c.Close()
			}
			if got := l.Addr().String(); got != path {
				t.Errorf("address %s, want %s", got, path)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("got %v in the folder, want nothing", after)
			}
		}
		if _, err := local.Dial(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("no socket: got %v, want an error with %s", err, path)
		}
	}
	name := strings.Repeat("n", local.MaxPathBytes)
	if _, err := local.Dial(t.Context(), filepath.Join(deep, name)); proto.CodeOf(err) != proto.Config || !strings.Contains(err.Error(), name) {
		t.Errorf("a long name: got %v, want that it is too long", err)
	}
}
