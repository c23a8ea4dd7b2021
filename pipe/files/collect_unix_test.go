//go:build unix

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"mesh/pipe/files"
	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/xtest"
)

// What is being written is no leftover: it is published although [files.Collect] runs all
// the time.
func TestCollectMeanwhile(t *testing.T) {
	t.Parallel()
	for how, store := range map[string]func(t *testing.T, dir string, i int) error{
		"pending": func(t *testing.T, dir string, i int) error {
			p := create(t, filepath.Join(dir, fmt.Sprint(i)), false, "x")
			defer p.Abort()
			return p.Commit()
		},
		"probe": func(t *testing.T, dir string, i int) error {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("x"), 0o600); err != nil {
				return err
			}
			return files.CheckStore(dir)
		},
		"small, named": func(t *testing.T, dir string, i int) error {
			f, err := disk.Open(dir)
			if err != nil {
				return err
			}
			defer f.Close()
			w := disk.NewSmallWriter(f, "no/name") // so it has no anonymous files
			temp, err := w.Write(f, func() string { return disk.TempName("same") }, 0o644, 1, []byte("x"))
			if err != nil {
				return err
			}
			defer temp.Close()
			if err := temp.Sync(); err != nil {
				return err
			}
			return temp.Publish(fmt.Sprint(i))
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var stopped atomic.Bool
			collected := make(chan error, 1)
			go func() {
				root, err := os.OpenRoot(dir)
				for err == nil && !stopped.Load() {
					err = files.Collect(t.Context(), root)
				}
				collected <- err
			}()
			want := map[string]string{}
			for i := range 200 {
				xtest.WantCode(t, fmt.Sprint(i), store(t, dir, i), proto.OK)
				want[fmt.Sprint(i)] = "x"
			}
			stopped.Store(true)
			xtest.WantCode(t, "Collect", <-collected, proto.OK)
			wantFiles(t, dir, want)
		})
	}
}
