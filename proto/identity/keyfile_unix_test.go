//go:build unix

package identity_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func TestBadKeyFiles(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"readable by others": func(p string) error {
			return errors.Join(os.Rename(filepath.Join(filepath.Dir(p), "good"), p), os.Chmod(p, 0o644))
		},
		"garbage":   func(p string) error { return os.WriteFile(p, []byte("s3cret"), 0o600) },
		"too large": func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) },
		"folder":    func(p string) error { return os.Mkdir(p, 0o700) },
		"fifo":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"no key": func(p string) error {
			return os.WriteFile(p, []byte("-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if _, err := identity.LoadKey(dir); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, identity.KeyFile)
			if err := errors.Join(os.Rename(path, filepath.Join(dir, "good")), make(path)); err != nil {
				t.Fatal(err)
			}
			_, err := identity.LoadKey(dir)
			xtest.WantCode(t, "load", err, proto.Config)
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "czNj") {
				t.Errorf("the error shows what is in the file: %v", err)
			}
		})
	}
}
