//go:build unix

package pipe_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/pipe"
)

// ReaderGone knows it of every kind of file that has a reader, and of no other.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	open := func(name string, flag int) *os.File {
		f, err := os.OpenFile(name, flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	dir := t.TempDir()
	for _, c := range []struct {
		what string
		open func() (r, w *os.File)
		gone bool // once r is closed
	}{
		{"a pipe", func() (r, w *os.File) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return r, w
		}, true},
		{"a socket", func() (r, w *os.File) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			return os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
		}, true},
		{"a FIFO", func() (r, w *os.File) {
			name := filepath.Join(dir, "fifo")
			if err := unix.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
			r = open(name, os.O_RDONLY|unix.O_NONBLOCK)
			return r, open(name, os.O_WRONLY)
		}, true},
		{"a reset connection", func() (r, w *os.File) { return connection(t) }, true},
		{"a file", func() (r, w *os.File) {
			name := filepath.Join(dir, "file")
			w = open(name, os.O_WRONLY|os.O_CREATE)
			return open(name, os.O_RDONLY), w
		}, false},
		{"/dev/null", func() (r, w *os.File) { return open(os.DevNull, os.O_RDONLY), open(os.DevNull, os.O_WRONLY) }, false},
	} {
		r, w := c.open()
		if pipe.ReaderGone(w) {
			t.Errorf("%s: got gone, want a reader", c.what)
		}
		_ = r.Close()
		if got := pipe.ReaderGone(w); got != c.gone {
			t.Errorf("%s without a reader: got gone %v, want %v", c.what, got, c.gone)
		}
		_ = w.Close()
	}
}

// connection returns the ends of a TCP connection. A close of r, which leaves a byte
// unread, resets it.
func connection(t *testing.T) (r, w *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	fileOf := func(c net.Conn) *os.File {
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		return f
	}
	return fileOf(dialed), fileOf(accepted)
}
