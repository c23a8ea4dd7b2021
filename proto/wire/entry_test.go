package wire_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"mesh/proto/wire"
)

// The encoder for entries produces the same bytes as package json.
func TestEntryForm(t *testing.T) {
	t.Parallel()
	digest := wire.Digest{1, 2, 255}
	for _, path := range []string{"a", "a b/c", `a"b`, `a\b`, "a<b>&c'", "\x00", "a\x7f", "~", "ü", "a\u2028b", "\u202e"} {
		for _, e := range []wire.Entry{
			{ID: 1, Path: path, Kind: wire.EntryFolder},
			{ID: math.MaxInt64, Path: path, Kind: wire.EntryFolder, Mode: 0o777, Mtime: math.MinInt64, Now: true},
			{ID: 2, Path: path, Kind: wire.EntryFile, Digest: &digest},
			{ID: 3, Path: path, Kind: wire.EntryFile, Size: 1, Mode: 1, Mtime: 1, Digest: &digest, Now: true},
			{ID: 4, Path: path, Kind: wire.EntryFile, Size: math.MaxInt64, Mtime: -5},
			{ID: 4, Path: path, Kind: wire.EntryFile, Size: 1 << 30, Holes: 1<<30 - 1, Mode: 0o644, Mtime: -5, Now: true},
			{ID: 4, Path: path, Kind: wire.EntryFile, Size: 1, Digest: &digest, Now: true, Links: true},
			{ID: 5, Path: path, Kind: wire.EntryFolder, Mode: 0o700, Links: true},
			{ID: 5, Path: path, Kind: wire.EntryLink, Size: 1, Target: path, Now: true},
			{ID: 5, Path: path, Kind: wire.EntrySymlink, Target: path, Mtime: 7, Now: true},
		} {
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(e); err != nil {
				t.Fatal(err)
			}
			if got := wire.AppendBody(nil, &e); string(got)+"\n" != want.String() {
				t.Errorf("got %s, want %s", got, want.Bytes())
			}
			var back wire.Entry
			if err := wire.ParseBody(wire.AppendBody(nil, &e), &back); err != nil || !reflect.DeepEqual(back, e) {
				t.Errorf("got %+v (%v), want %+v", back, err, e)
			}
		}
	}
}
