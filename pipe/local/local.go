// Package local connects processes of one user on one machine, over Unix sockets.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"mesh/proto"
)

// MaxPathBytes is the longest path of a socket that all systems support: the functions of
// this package go to a longer one by a link in the folder for temporary files. The shortest
// sun_path is that of macOS: 104 bytes, including the terminating zero.
const MaxPathBytes = 103

// MakeFolder makes a folder for sockets that no other user can enter. One that is there
// must be so: else the code of the error is [proto.Config].
func MakeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return proto.IOError(err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return proto.IOError(err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return proto.Errorf(proto.Config, "%s: others may enter it (mode %04o): run chmod go= on it", dir, info.Mode().Perm())
	}
	return nil
}

// Listener is a listening socket that only its user, or root, can connect to.
type Listener struct {
	net.Listener
	path string
	made os.FileInfo // identifies our socket at path

	close    sync.Once
	closeErr error
}

// Listen creates the socket at path, and replaces whatever is there. The last component of
// the path must have at least 8 bytes.
func Listen(path string) (*Listener, error) {
	// The socket gets its name after its mode, so that nobody can connect before.
	temp := filepath.Join(filepath.Dir(path), "."+rand.Text()[:7])
	short, undo, err := reach(temp)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", short)
	undo()
	if err != nil {
		return nil, proto.IOError(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err = os.Chmod(temp, 0o600); err == nil {
		err = os.Rename(temp, path)
	}
	var made os.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	if err != nil {
		_ = l.Close()
		_ = os.Remove(temp)
		return nil, proto.IOError(err)
	}
	return &Listener{Listener: l, path: path, made: made}, nil
}

// Accept waits for a connection from a process of this user or root. It closes others.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if sameUser(c.(*net.UnixConn)) == nil {
			return c, nil
		}
		_ = c.Close()
	}
}

// Dial connects to the socket at path. If another user listens there, the error has code
// [proto.Config]; other errors are those of package net.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	c, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := sameUser(c.(*net.UnixConn)); err != nil {
		_ = c.Close()
		return nil, proto.Errorf(proto.Config, "%s: %w", path, err)
	}
	return c, nil
}

func connect(ctx context.Context, path string) (net.Conn, error) {
	short, undo, err := reach(path)
	if err != nil {
		return nil, err
	}
	defer undo()
	c, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if e, ok := errors.AsType[*net.OpError](err); ok {
		e.Addr = &net.UnixAddr{Name: path, Net: "unix"}
	}
	return c, err
}

// Addr returns the socket's address.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close closes the socket, and removes it unless another one has replaced it at its
// path. It may be called more than once.
func (l *Listener) Close() error {
	l.close.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			_ = os.Remove(l.path) // first: once ours is closed, another process may put its socket there
		}
		l.closeErr = l.Listener.Close()
	})
	return l.closeErr
}

// DialOwner is [Dial], but root may connect to the socket of another user: one at which
// the owner of the file listens.
func DialOwner(ctx context.Context, path string) (net.Conn, error) {
	if os.Geteuid() != 0 {
		return Dial(ctx, path)
	}
	c, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := isOwners(c.(*net.UnixConn), path); err != nil {
		_ = c.Close()
		return nil, proto.Errorf(proto.Config, "%s: %w", path, err)
	}
	return c, nil
}
