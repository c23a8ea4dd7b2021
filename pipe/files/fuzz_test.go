package files_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// FuzzReceive gives a receiver any bytes. It ends with a code, and writes nothing
// outside its folder.
func FuzzReceive(f *testing.F) {
	total := frame(&wire.Total{Entries: 2})
	f.Add(join(folder(1, "d"), now(2, "d/f", "x"), total))
	f.Add(join(large0(1, "a", proto.SmallFileBytes+1, false), frame(&wire.From{ID: 1}), data("x"), frame(&wire.End{ID: 1, Code: proto.Changed})))
	f.Add(join(frame(&wire.Entry{ID: 1, Path: "d", Kind: wire.EntryFolder, Links: true}),
		frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: 1, Digest: sum("x"), Now: true, Links: true}), data("x"),
		frame(&wire.Entry{ID: 3, Path: "d/b", Kind: wire.EntryLink, Size: 1, Target: "d/a", Now: true}), frame(&wire.Total{Entries: 3})))
	f.Add(join(large0(1, "a", proto.SmallFileBytes+9, true), data("x"), frame(&wire.Hole{Bytes: proto.SmallFileBytes}), frame(&wire.Hole{Bytes: 9})))
	f.Add(join(folder(1, "d"), frame(&wire.Count{Bytes: 1 << 62}), now(2, "d/f", "x"), total))
	f.Add(join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: "x"}), total))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		to := filepath.Join(dir, "in")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		sum, err := lieFrom(t, to, files.ReceiveOptions{MaxBytes: 1 << 20, Progress: new(files.Progress), Counts: true}, bytes.NewReader(b))
		if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
			t.Errorf("got %v (%v), want a code that says more", code, err)
		}
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Errorf("got %v outside", names)
		}
		found := int64(0)
		_ = filepath.WalkDir(to, func(path string, d os.DirEntry, _ error) error {
			if d.IsDir() { // its mode is what the bytes say
				_ = os.Chmod(path, 0o700)
			}
			if path != to && !d.IsDir() && !strings.HasPrefix(d.Name(), ".mesh-") {
				found++
			}
			return nil
		})
		if found != sum.Files {
			t.Errorf("got %d files, and %+v", found, sum)
		}
		for _, format := range []string{files.Zip, files.Tar} {
			var out bytes.Buffer
			committed := false
			_, err := files.ReceiveArchive(t.Context(), format, &out, func() error { committed = true; return nil },
				bytes.NewReader(b), io.Discard, files.ReceiveOptions{MaxBytes: 1 << 20})
			if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
				t.Errorf("%s: got %v (%v), want a code that says more", format, code, err)
			}
			if format == files.Tar && out.Len() > 0 && (readTar(out.Bytes()) == nil) != committed {
				t.Errorf("got a tar of %d bytes, which is whole: %t, with %v", out.Len(), !committed, err)
			}
		}
	})
}

// FuzzSend gives a sender any bytes as answers. It ends with a code.
func FuzzSend(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "d")
	write(f, filepath.Join(dir, "small"), []byte("x"))
	write(f, filepath.Join(dir, "large"), make([]byte, proto.SmallFileBytes+1))
	f.Add(join(frame(&wire.Answer{ID: 1}), frame(&wire.Answer{ID: 2, Have: 5, Digest: sum("\x00\x00\x00\x00\x00")}), frame(&wire.Answer{ID: 3, Skip: true}), frame(&wire.Stored{Files: 1, Skipped: 1})))
	f.Add(join(frame(&wire.Answer{ID: 1, Fresh: true}), frame(&wire.Stored{Files: 2})))
	f.Add(join(frame(&wire.Answer{ID: 1, Fresh: true, Count: true}), frame(&wire.Stored{Files: 2})))
	f.Add(join(frame(&wire.Answer{ID: 1, Code: proto.Unsafe}), frame(&wire.Refused{Path: "\x1b", Code: proto.IO}), frame(&wire.Stored{Refused: 2, Code: proto.Unsafe})))
	f.Add(join(frame(&wire.Answer{ID: 1, Code: proto.IO, Why: "\x1b]0;no\a"}), frame(&wire.Refused{Path: "d", Code: proto.IO, Why: "\u202e\n"}), frame(&wire.Stored{Refused: 2, Code: proto.IO})))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := files.Send(context.Background(), []string{dir}, bytes.NewReader(b), io.Discard, files.SendOptions{Report: func(path string, err error) {
			if strings.ContainsAny(path+err.Error(), "\x1b\n\x00\a\u202e") {
				t.Errorf("%q: %q is told", path, err)
			}
		}})
		if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
			t.Errorf("got %v (%v), want a code that says more", code, err)
		}
	})
}
