//go:build unix

package files_test

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// A small file, which may be anonymous at first, replaces nothing without Force, follows
// no link, and leaves nothing beside it.
func TestSmallPublished(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		o    files.ReceiveOptions
		want proto.Code
		as   map[string]string
	}{
		{"refuse", files.ReceiveOptions{}, proto.Unsafe, map[string]string{"f": "old", "link": "old", "free": "new"}},
		{"rename", files.ReceiveOptions{Rename: true}, 0, map[string]string{"f": "old", "f (2)": "new", "link": "old", "link (2)": "new", "free": "new"}},
		{"force", files.ReceiveOptions{Force: true}, 0, map[string]string{"f": "new", "link": "new", "free": "new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			to, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
			write(t, outside, []byte("old"))
			write(t, filepath.Join(to, "f"), []byte("old"))
			if err := os.Symlink(outside, filepath.Join(to, "link")); err != nil {
				t.Fatal(err)
			}
			_, err := lie(t, to, tt.o, now(1, "f", "new"), now(2, "free", "new"), now(3, "link", "new"), frame(&wire.Total{Entries: 3}))
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			for name, want := range tt.as {
				if got := read(t, filepath.Join(to, name)); got != want {
					t.Errorf("%s holds %q, want %q", name, got, want)
				}
			}
			if got := read(t, outside); got != "old" {
				t.Errorf("behind the link there is %q", got)
			}
			entries, err := os.ReadDir(to)
			if err != nil || len(entries) != len(tt.as) {
				t.Errorf("got %v (%v), want %d names", entries, err, len(tt.as))
			}
		})
	}
}
