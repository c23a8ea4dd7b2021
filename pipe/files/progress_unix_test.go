//go:build unix

package files_test

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/pipe/files"
	"mesh/pipe/files/exclude"
	"mesh/proto/xtest"
)

// A sender's progress ends with all bytes done, whether they are sent or there already, and
// without those of what is excluded.
func TestProgress(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for name, size := range map[string]int{"empty": 0, "small": 1000, "sub/large": 3 << 20, "sub/other": 100_000, "x.log": 5000} {
		if err := os.WriteFile(filepath.Join(from, name), xtest.Random(size), 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".log" {
			want += int64(size)
		}
	}
	list := new(exclude.List)
	if err := list.Add("*.log", "test"); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"sent", "there already"} {
		p := new(files.Progress)
		r := run{send: files.SendOptions{Progress: p, Exclude: list}}
		r.transfer(t, to, from)
		if r.sendErr != nil || r.recvErr != nil {
			t.Fatalf("%s: %v, %v", what, r.sendErr, r.recvErr)
		}
		if r.sent.Excluded != 1 {
			t.Errorf("%s: got %d excluded, want 1", what, r.sent.Excluded)
		}
		if done := p.Done.Load(); done != want || p.Known.Load() && p.Total.Load() != want {
			t.Errorf("%s: got %d of %d bytes (known: %v), want %d", what, done, p.Total.Load(), p.Known.Load(), want)
		}
	}
}
