// Package local makes the sockets at which processes of one user meet on one machine.
package local

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"sync"

	"mesh/proto"
)

// MaxPathBytes is how long the path of a socket may be everywhere: macOS has the
// shortest sun_path, of 104 bytes with the one that ends it.
const MaxPathBytes = 103

// Listener is a socket that only its user can open.
type Listener struct {
	net.Listener
	path string
	made os.FileInfo // what we have put there

	close sync.Once
	err   error
}

// Listen makes the socket at path, in the place of what has that name. The path has
// at most [MaxPathBytes], and its last part at least 8.
func Listen(path string) (*Listener, error) {
	// Nobody may connect before the mode is right, so it gets its name last.
	temp := filepath.Join(filepath.Dir(path), "."+rand.Text()[:7])
	l, err := net.Listen("unix", temp)
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

// Accept waits for a connection of this user's or root's. Others are closed.
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

// Dial connects to the socket at path. That somebody else listens there is an
// error of code [proto.Config]; the others are those of package net.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := sameUser(c.(*net.UnixConn)); err != nil {
		_ = c.Close()
		return nil, proto.Errorf(proto.Config, "%s: %w", path, err)
	}
	return c, nil
}

// Addr returns the address at which it is reached.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close takes the socket away, unless another has its name by now. It may be
// called more than once.
func (l *Listener) Close() error {
	l.close.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			_ = os.Remove(l.path) // before the end: one that has the name later is not ours
		}
		l.err = l.Listener.Close()
	})
	return l.err
}
