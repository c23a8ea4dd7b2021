package files_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// lie gives frames to a receiver and returns how it ended. The pipe ends after the last
// frame.
func lie(t testing.TB, to string, o files.ReceiveOptions, frames ...[]byte) (files.Summary, error) {
	t.Helper()
	return lieFrom(t, to, o, strings.NewReader(string(join(frames...))))
}

func lieFrom(t testing.TB, to string, o files.ReceiveOptions, r io.Reader) (files.Summary, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	return files.Receive(ctx, openRoot(t, to), r, io.Discard, o)
}

func join(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

func frame(m wire.Message) []byte { return wire.AppendFrame(nil, m) }

// raw makes a frame with any body.
func raw(typ wire.Type, body string) []byte {
	return append(wire.AppendHeader(nil, wire.Header{Type: typ, Bytes: len(body)}), body...)
}

func data(s string) []byte { return append(wire.AppendDataHeader(nil, len(s)), s...) }

func sum(s string) *wire.Digest {
	d := digest.Sum([]byte(s))
	return &d
}

// now announces a small file with its data.
func now(id int64, path, holds string) []byte {
	e := frame(&wire.Entry{ID: id, Path: path, Kind: wire.EntryFile, Size: int64(len(holds)), Mode: 0o644, Digest: sum(holds), Now: true})
	if holds == "" {
		return e
	}
	return append(e, data(holds)...)
}

func folder(id int64, path string) []byte {
	return frame(&wire.Entry{ID: id, Path: path, Kind: wire.EntryFolder, Mode: 0o755})
}

func large0(id int64, path string, size int64, now bool) []byte {
	return frame(&wire.Entry{ID: id, Path: path, Kind: wire.EntryFile, Size: size, Mode: 0o644, Now: now})
}

// cutShort lets a transfer of the file from break off after some data, and returns the
// part that is left. Its owner is alice.
func cutShort(t testing.TB, to, from string, holds []byte) string {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	e := &wire.Entry{ID: 1, Path: "f", Kind: wire.EntryFile, Size: info.Size(), Mode: 0o644, Mtime: info.ModTime().UnixNano(), Now: true}
	frames := frame(e)
	for len(holds) > 0 {
		n := min(len(holds), proto.MaxChunkBytes)
		frames = append(frames, data(string(holds[:n]))...)
		holds = holds[n:]
	}
	_, err = lie(t, to, files.ReceiveOptions{Owner: "alice"}, frames)
	if got := proto.CodeOf(err); got != proto.Truncated {
		t.Fatalf("got %v (%v), want %v", got, err, proto.Truncated)
	}
	parts, _ := filepath.Glob(filepath.Join(to, ".mesh-*.part"))
	if len(parts) != 1 {
		t.Fatalf("got %v, want a part", parts)
	}
	return parts[0]
}

func TestLies(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", proto.SmallFileBytes+1)
	total := func(n int64) []byte { return frame(&wire.Total{Entries: n}) }
	for _, tt := range []struct {
		name   string
		frames []byte
		want   proto.Code
		stored []string
	}{
		{"nothing", nil, proto.Truncated, nil},
		{"no end", now(1, "a", "x"), proto.Truncated, []string{"a"}},
		{"something behind the end", join(now(1, "a", "x"), total(1), total(1)), proto.Protocol, []string{"a"}},
		{"a wrong total", join(now(1, "a", "x"), total(2)), proto.Protocol, []string{"a"}},
		{"a wrong digest", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1, Digest: sum("y"), Now: true}), data("x"), total(1)), proto.Integrity, nil},
		{"more bytes", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1, Digest: sum("xx"), Now: true}), data("xx"), total(1)), proto.Protocol, nil},
		{"fewer bytes", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 2, Digest: sum("x"), Now: true}), data("x"), total(1)), proto.Integrity, nil},
		{"more bytes, large", join(large0(1, "a", int64(len(big)), true), data(big), data("x"), total(1)), proto.Protocol, nil},
		{"fewer bytes, large", join(large0(1, "a", int64(len(big))+1, true), data(big), frame(&wire.End{ID: 1, Digest: sum(big)}), total(1)), proto.Integrity, nil},
		{"a wrong digest, large", join(large0(1, "a", int64(len(big)), true), data(big), frame(&wire.End{ID: 1, Digest: sum("")}), total(1)), proto.Integrity, nil},
		{"the end of another", join(large0(1, "a", int64(len(big)), true), data(big), frame(&wire.End{ID: 2, Digest: sum(big)}), total(1)), proto.Protocol, nil},
		{"an entry within a file", join(large0(1, "a", int64(len(big)), true), now(2, "b", "")), proto.Protocol, nil},
		{"data of nothing", join(data("x")), proto.Protocol, nil},
		{"data unasked", join(large0(1, "a", int64(len(big)), false), data("x")), proto.Protocol, nil},
		{"from where nothing is", join(large0(1, "a", int64(len(big)), false), frame(&wire.From{ID: 1, From: 5})), proto.Protocol, nil},
		{"from another", join(large0(1, "a", int64(len(big)), false), frame(&wire.From{ID: 2})), proto.Protocol, nil},
		{"2^63", raw(wire.TypeEntry, `{"id":1,"path":"a","kind":"file","size":9223372036854775808,"now":true}`), proto.Protocol, nil},
		{"2^63-1", large0(1, "a", math.MaxInt64, true), proto.Space, nil},
		{"2^63-1 unasked", large0(1, "a", math.MaxInt64, false), proto.Space, nil},
		{"2^62 thrice", join(large0(1, "a", 1<<62, false), large0(2, "b", 1<<62, false)), proto.Space, nil},
		{"a negative size", raw(wire.TypeEntry, `{"id":1,"path":"a","kind":"file","size":-1,"now":true}`), proto.Protocol, nil},
		{"the same name twice", join(now(1, "a", "x"), now(2, "a", "y"), total(2)), proto.Protocol, []string{"a"}},
		{"a file where a folder stands", join(folder(1, "a"), now(2, "a", "y"), total(2)), proto.Protocol, []string{"a"}},
		{"a folder where a file stands", join(now(1, "a", "x"), folder(2, "a"), now(3, "a/b", "y"), total(3)), proto.Protocol, []string{"a"}},
		{"another case, portable", join(now(1, "A", "x"), now(2, "a", "y"), total(2)), proto.Unsafe, []string{"A"}},
		{"another composition, portable", join(now(1, "e\u0301", "x"), now(2, "\u00e9", "y"), total(2)), proto.Unsafe, []string{"e\u0301"}},
		{"a folder of another case, portable", join(folder(1, "A"), now(2, "A/x", "1"), folder(3, "a"), now(4, "a/y", "2"), total(4)), proto.Unsafe, []string{"A", "A/x"}},
		{"another case twice", join(now(1, "A", "x"), now(2, "a", "y"), now(3, "A", "z"), total(3)), proto.Protocol, []string{"A", "a"}},
		{"another case in the wrong order", join(now(1, "a", "x"), now(2, "A", "y"), total(2)), proto.Protocol, []string{"a"}},
		{"half a byte", raw(wire.TypeEntry, "{\"id\":1,\"path\":\"a\ufdd0\",\"kind\":\"folder\"}"), proto.Protocol, nil},
		{"an encoded slash", raw(wire.TypeEntry, "{\"id\":1,\"path\":\"..\ufdd2\ufdefa\",\"kind\":\"folder\"}"), proto.Protocol, nil},
		{"no order", join(now(1, "b", "x"), now(2, "a", "y"), total(2)), proto.Protocol, []string{"b"}},
		{"in a folder that was not announced", now(1, "a/b", "x"), proto.Protocol, nil},
		{"in a file", join(now(1, "a", "x"), now(2, "a/b", "y")), proto.Protocol, []string{"a"}},
		{"back in a folder", join(folder(1, "a"), now(2, "b", ""), now(3, "a/x", "")), proto.Protocol, []string{"a", "b"}},
		{"ids with gaps", now(2, "a", "x"), proto.Protocol, nil},
		{"now behind a waiting one", join(large0(1, "a", int64(len(big)), false), now(2, "b", "")), proto.Protocol, nil},
		{"a mode beyond", raw(wire.TypeEntry, `{"id":1,"path":"a","kind":"folder","mode":2541}`), proto.Protocol, nil},
		{"a device", raw(wire.TypeEntry, `{"id":1,"path":"a","kind":"device"}`), proto.Protocol, nil},
		{"a hard link", raw(wire.TypeEntry, `{"id":1,"path":"a","kind":"link","target":"b"}`), proto.Protocol, nil},
		{"a link out", join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: "../../x"}), total(2)), proto.Unsafe, []string{"d"}},
		{"a link beside", join(frame(&wire.Entry{ID: 1, Path: "l", Kind: wire.EntrySymlink, Target: "x"}), total(1)), proto.Unsafe, nil},
		{"a file through a link", join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: "x"}), now(3, "d/l/f", "x")), proto.Protocol, []string{"d", "d/l"}},
		{"a file where the link is", join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: "x"}), now(3, "d/l", "x")), proto.Protocol, []string{"d", "d/l"}},
		{"what the receiver says", frame(&wire.Stored{Files: 1}), proto.Protocol, nil},
		{"a frame of the link", frame(&wire.Resume{}), proto.Protocol, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			to := t.TempDir()
			_, err := lie(t, to, files.ReceiveOptions{Portable: strings.HasSuffix(tt.name, ", portable")}, tt.frames)
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			var got []string
			_ = filepath.WalkDir(to, func(path string, _ os.DirEntry, _ error) error {
				rel, _ := filepath.Rel(to, path)
				if rel != "." && !(strings.HasPrefix(rel, ".mesh-") && tt.want != proto.OK) {
					got = append(got, filepath.ToSlash(rel))
				}
				return nil
			})
			if strings.Join(got, " ") != strings.Join(tt.stored, " ") {
				t.Errorf("got %q, want %q", got, tt.stored)
			}
		})
	}
}

// Each hostile path is refused, and the rest is stored. A path that FILES_REFUSED cannot
// name ends the transfer.
func TestHostileEntries(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	var frames []byte
	id, alone := int64(0), 0
	told := func(path string, err error) {
		if proto.CodeOf(err) != proto.Unsafe || strings.ContainsAny(path+err.Error(), "\n\x1b\u202e") {
			t.Errorf("%q: %v", path, err)
		}
	}
	for i, path := range slices.Concat(hostile(), unusual()) {
		e := &wire.Entry{ID: id + 1, Path: path, Kind: wire.EntryFile, Size: 1, Digest: sum("x"), Now: true}
		if path == "" || len(path) > proto.MaxPathBytes || strings.ToValidUTF8(path, "") != path {
			e.ID, e.Path = 1, "PATH"
			body := bytes.Replace(frame(e)[proto.FrameHeaderBytes:], []byte("PATH"), []byte(path), 1)
			_, err := lie(t, to, files.ReceiveOptions{}, raw(wire.TypeEntry, string(body)), data("x"), frame(&wire.Total{Entries: 1}))
			told(proto.EscapeText(path), err)
			alone++
		}
		if path == "" || len(path) > proto.MaxPathBytes || i >= len(hostile()) {
			continue
		}
		e.ID, e.Path = id+1, path
		frames = append(append(frames, frame(e)...), data("x")...)
		id++
	}
	frames = append(append(frames, now(id+1, "good", "x")...), frame(&wire.Total{Entries: id + 1})...)
	lines := 0
	got, err := lie(t, to, files.ReceiveOptions{Report: func(path string, err error) {
		lines++
		told(path, err)
		if strings.ContainsAny(path, "\n\x1b\u202e") {
			t.Errorf("%q is told", path)
		}
	}}, frames)
	if code := proto.CodeOf(err); code != proto.Unsafe || got.Refused != id || got.Files != 1 || int64(lines) != id || id < 100 || alone < 10 {
		t.Errorf("got %v, %+v and %d lines, want %d refused, 100 at least, and %d alone", err, got, lines, id, alone)
	}
	if names, _ := os.ReadDir(to); len(names) != 1 {
		t.Errorf("got %v, want one file", names)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	frames := join(folder(1, "d"), now(2, "d/a", "12345"), now(3, "d/b", "12345"), frame(&wire.Total{Entries: 3}))
	for _, tt := range []struct {
		o    files.ReceiveOptions
		want proto.Code
	}{
		{files.ReceiveOptions{MaxBytes: 10, MaxEntries: 3}, proto.OK},
		{files.ReceiveOptions{MaxBytes: 9}, proto.Space},
		{files.ReceiveOptions{MaxEntries: 2}, proto.Space},
		{files.ReceiveOptions{As: "x"}, proto.Unsafe},
	} {
		if _, err := lie(t, t.TempDir(), tt.o, frames); proto.CodeOf(err) != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.o, err, tt.want)
		}
	}
}

// Folders without end after a file whose data does not come: they cannot be completed,
// and must not all be remembered.
func TestManyBehindOne(t *testing.T) {
	t.Parallel()
	frames := large0(1, "a", proto.SmallFileBytes+1, false)
	for id := int64(2); id < 3*proto.MaxPending; id++ {
		frames = append(frames, folder(id, fmt.Sprintf("b%06d", id))...)
	}
	if _, err := lie(t, t.TempDir(), files.ReceiveOptions{}, frames); proto.CodeOf(err) != proto.Protocol {
		t.Errorf("got %v, want %v", err, proto.Protocol)
	}
	for _, format := range []string{files.Tar, files.Zip} {
		_, err := files.ReceiveArchive(t.Context(), format, io.Discard, nil, bytes.NewReader(frames), io.Discard, files.ReceiveOptions{})
		if proto.CodeOf(err) != proto.Protocol {
			t.Errorf("%s: got %v, want %v", format, err, proto.Protocol)
		}
	}
}

// A million entries in one folder, of which none is stored, take no memory.
func TestManyEntries(t *testing.T) {
	many := 200000
	if os.Getenv("TORTURE") == "full" {
		many = 1000000
	}
	r, w := io.Pipe()
	go func() {
		var b []byte
		var err error
		for id := int64(1); id <= int64(many) && err == nil; id++ {
			e := &wire.Entry{ID: id, Path: fmt.Sprintf("%020d", id), Kind: wire.EntryFolder}
			if b = wire.AppendFrame(b, e); len(b) > 64<<10 || id == int64(many) {
				_, err = w.Write(b)
				b = b[:0]
			}
		}
		w.Close()
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sum, err := lieFrom(t, t.TempDir(), files.ReceiveOptions{As: "x"}, r)
	r.Close()
	runtime.ReadMemStats(&after)
	if proto.CodeOf(err) != proto.Truncated || sum.Refused != int64(many) {
		t.Errorf("got %v, %+v, want %d refused", err, sum, many)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 48<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
