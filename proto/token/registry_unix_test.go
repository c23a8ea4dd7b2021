//go:build unix

package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A file that can't be read revokes everything.
func TestUnreadableRevokesAll(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(path string) error{
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"fifo":   func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"writable": func(p string) error {
			return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o666))
		},
		"dangling": func(p string) error { return os.Symlink("nothing", p) },
	} {
		unread, _, book := newRegistry(t)
		if err := spoil(filepath.Join(book.Dir, token.RevokedFile)); err != nil {
			t.Fatal(err)
		}
		if !unread.Revoked(token.ID{}) {
			t.Errorf("%s: not revoked, want every token revoked by a file that can't be read", what)
		}
	}
}

// A list that other users may write admits nobody, also if that happened while the
// listener runs.
func TestOthersMayWrite(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	dialer := xtest.NewKey(t).ID()
	if err := book.Allow(dialer, proto.CapSend); err != nil {
		t.Fatal(err)
	}
	one, err := token.NewCapability(key, proto.CapSend, time.Hour, 2, identity.ID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := claimFor(r, one, dialer); err != nil {
		t.Fatal(err)
	}
	byKey := &wire.Hello{Method: wire.MethodKey}
	if _, err := r.Find(byKey, dialer); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{identity.AuthorizedPeersFile, token.ClaimedFile} {
		if err := os.Chmod(filepath.Join(book.Dir, name), 0o620); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.Find(byKey, dialer)
	xtest.WantCode(t, "by key", err, proto.Config)
	xtest.WantCode(t, "a second use", claimFor(r, one, xtest.NewKey(t).ID()), proto.Config)
	xtest.WantCode(t, "allow", book.Allow(xtest.NewKey(t).ID(), proto.CapSend), proto.Config)
}
