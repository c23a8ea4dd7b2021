//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mesh/proto"
)

// TestInboxSameName sends many files with the same name at once. Each stored file must
// be the whole file of one sender: one file without --rename, all of them with it.
func TestInboxSameName(t *testing.T) {
	t.Parallel()
	const senders = 6
	for _, rename := range []bool{false, true} {
		t.Run(fmt.Sprint("rename=", rename), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			in := filepath.Join(dir, "in")
			if err := os.Mkdir(in, 0o755); err != nil {
				t.Fatal(err)
			}
			args := []string{"--listen", "127.0.0.1:0", "--token-file", "tok", "--inbox", "in"}
			if rename {
				args = append(args, "--rename")
			}
			begin(t, dir, nil, "mesh-listen", args...)
			await(t, filepath.Join(dir, "tok"))
			var cats []*aTool
			for i := range senders {
				from := filepath.Join(dir, fmt.Sprint("from", i))
				if err := os.Mkdir(from, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(from, "same"), aSame(i), 0o644); err != nil {
					t.Fatal(err)
				}
				cats = append(cats, begin(t, dir, nil, "mesh-cat", "@tok", filepath.Join(from, "same")))
			}
			stored := map[string]bool{}
			for i, cat := range cats {
				switch code := cat.code(t); {
				case code == proto.OK:
					stored[string(aSame(i))] = true
				case code != proto.Unsafe || rename:
					t.Errorf("sender %d ended with %v: %s", i, code, cat.stderr.Bytes())
				}
			}
			entries, err := os.ReadDir(in)
			want := 1
			if rename {
				want = senders
			}
			if err != nil || len(entries) != want || len(stored) != want {
				t.Errorf("got %d files (%v) and %d senders that know of them, want %d", len(entries), err, len(stored), want)
			}
			for _, e := range entries {
				got, err := os.ReadFile(filepath.Join(in, e.Name()))
				if !stored[string(got)] {
					t.Errorf("%s: %d bytes that nobody sent so (%v)", e.Name(), len(got), err)
				}
				delete(stored, string(got))
			}
		})
	}
}

// aSame returns the content of the file of sender i. All have the same size.
func aSame(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 3<<20) }
