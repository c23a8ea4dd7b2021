package local_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mesh/pipe/local"
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
