package local_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/pipe/local"
	"mesh/proto"
)

// asNobody runs f as user nobody. This process must be root's.
func asNobody(t *testing.T, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			done <- errno
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Dial refuses a socket at which another user listens.
func TestDialOtherUser(t *testing.T) {
	t.Parallel()
	path := "@" + filepath.Join(t.TempDir(), "s") // abstract: nobody cannot create a file there
	var l net.Listener
	asNobody(t, func() (err error) {
		l, err = net.Listen("unix", path)
		return err
	})
	defer l.Close()
	c, err := local.Dial(t.Context(), path)
	if proto.CodeOf(err) != proto.Config {
		t.Errorf("got %v, %v, want code %d", c, err, proto.Config)
	}
}

// Accept refuses another user that can open our socket in spite of its mode, and then
// accepts our own connection.
func TestAcceptOtherUser(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "m") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	l, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var foreign net.Conn
	asNobody(t, func() (err error) {
		foreign, err = new(net.Dialer).DialContext(context.Background(), "unix", path)
		return err
	})
	defer foreign.Close()
	if n, err := foreign.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("another user's read: got %d, %v, want 0, EOF", n, err)
	}
	ours, err := local.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if _, err := ours.Write([]byte("o")); err != nil {
		t.Fatal(err)
	}
	c := <-accepted
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil || got[0] != 'o' {
		t.Errorf("first accepted connection: got %q, %v, want our own", got, err)
	}
	c.Close()
	l.Close()
	if c, ok := <-accepted; ok {
		t.Errorf("%v was accepted too", c.RemoteAddr())
	}
}

// Root connects to the socket of another user, if that user also listens there.
func TestDialOwner(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "m") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "socket")
	var l net.Listener
	asNobody(t, func() (err error) {
		l, err = net.Listen("unix", path)
		return err
	})
	defer l.Close()
	c, err := local.DialOwner(t.Context(), path)
	if err != nil {
		t.Fatalf("the owner listens: %v", err)
	}
	_ = c.Close()
	if _, err := local.Dial(t.Context(), path); proto.CodeOf(err) != proto.Config {
		t.Errorf("Dial: got %v, want code %v", err, proto.Config)
	}
	if err := os.Chown(path, 4711, 4711); err != nil {
		t.Skip(err)
	}
	if _, err := local.DialOwner(t.Context(), path); proto.CodeOf(err) != proto.Config {
		t.Errorf("another user than the owner listens: got %v, want code %v", err, proto.Config)
	}
}
