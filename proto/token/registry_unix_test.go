//go:build unix

package token_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mesh/proto/token"
)

// A file that can't be read revokes everything.
func TestUnreadableRevokesAll(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(path string) error{
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"fifo":   func(p string) error { return syscall.Mkfifo(p, 0o600) },
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
