//go:build unix

package disk_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// RemoveAbandoned goes on behind a folder that it cannot read.
func TestRemoveAbandonedGoesOn(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root can read all folders")
	}
	dir := t.TempDir()
	part := filepath.Join(dir, "z", ".mesh-0.part")
	for _, d := range []string{"closed", "z"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) })
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := disk.RemoveAbandoned(t.Context(), root, time.Time{}); proto.CodeOf(err) != proto.IO {
		t.Errorf("got %v, want %v", err, proto.IO)
	}
	if _, err := os.Lstat(part); !os.IsNotExist(err) {
		t.Errorf("the temporary file behind it: got %v, want it removed", err)
	}
}
