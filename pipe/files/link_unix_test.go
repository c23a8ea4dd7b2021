//go:build unix

package files_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/pipe/files"
	"mesh/pipe/files/archive"
	"mesh/proto"
	"mesh/proto/wire"
)

// linkedTree makes files with several names in one folder and in others, small and large,
// and returns the names by file.
func linkedTree(t *testing.T) (tree string, names map[string][]string) {
	t.Helper()
	tree = filepath.Join(t.TempDir(), "t")
	names = map[string][]string{
		"small": {"a/1", "a/2", "b/c/d/3", "z"},
		"empty": {"b/e1", "b/e2"},
		"large": {"a/large", "b/c/large", "c/large"},
		"alone": {"b/alone"},
	}
	holds := map[string][]byte{"small": []byte("small"), "empty": nil, "large": bigData, "alone": []byte("alone")}
	for file, paths := range names {
		first := filepath.Join(tree, paths[0])
		write(t, first, holds[file])
		for _, path := range paths[1:] {
			path = filepath.Join(tree, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(first, path); err != nil {
				t.Skipf("no hard links: %v", err)
			}
		}
	}
	return tree, names
}

// Other names of a file are links at the receiver, and its data travels once. A receiver
// that takes no links gets files.
func TestHardLinks(t *testing.T) {
	t.Parallel()
	for _, links := range []bool{true, false} {
		tree, names := linkedTree(t)
		to := t.TempDir()
		r := run{send: files.SendOptions{Links: links}}
		r.transfer(t, to, tree)
		r.wantCodes(t, proto.OK, proto.OK)
		if want := int64(10); r.sent.Files != want || r.received.Files != want {
			t.Errorf("links %t: got %d and %d files, want %d", links, r.sent.Files, r.received.Files, want)
		}
		want := int64(len("small") + len("alone") + len(bigData))
		if !links {
			want += int64(3*len("small") + 2*len(bigData))
		}
		if r.sent.Bytes != want || r.received.Bytes != want {
			t.Errorf("links %t: got %d and %d bytes, want %d", links, r.sent.Bytes, r.received.Bytes, want)
		}
		for file, paths := range names {
			first, err := os.Stat(filepath.Join(to, "t", paths[0]))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				if read(t, filepath.Join(to, "t", path)) != read(t, filepath.Join(tree, path)) {
					t.Errorf("links %t: %s has other content", links, path)
				}
				info, err := os.Stat(filepath.Join(to, "t", path))
				if err != nil {
					t.Fatal(err)
				}
				if one := os.SameFile(first, info); one != (links || path == paths[0]) {
					t.Errorf("links %t: %s: %s and %s are one file: %t", links, file, paths[0], path, one)
				}
			}
		}
		times := int64(3)
		if links {
			times = 1
		}
		if least := times * int64(len(bigData)); r.there < least || r.there > least+10_000 {
			t.Errorf("links %t: %d bytes travelled, want about %d", links, r.there, least)
		}
		again := run{send: files.SendOptions{Links: links}}
		again.transfer(t, to, tree)
		again.wantCodes(t, proto.OK, proto.OK)
		if again.sent.Skipped != 10 {
			t.Errorf("links %t: %d files were skipped the second time, want 10", links, again.sent.Skipped)
		}
	}
}

// An archive has each name with its content: its receiver takes no links.
func TestHardLinksToArchive(t *testing.T) {
	t.Parallel()
	for _, format := range []string{archive.Tar, archive.Zip} {
		tree, _ := linkedTree(t)
		var out bytes.Buffer
		r := run{send: files.SendOptions{Links: true}}
		r.collect(t, format, &out, tree)
		r.wantCodes(t, proto.OK, proto.OK)
		if r.received.Files != 10 {
			t.Errorf("%s: got %d files, want 10", format, r.received.Files)
		}
	}
}

// linkable announces a file that links may lead to, with its data.
func linkable(id int64, path, holds string) []byte {
	e := &wire.Entry{ID: id, Path: path, Kind: wire.EntryFile, Size: int64(len(holds)), Mode: 0o644, Digest: sum(holds), Now: true, Links: true}
	return append(frame(e), data(holds)...)
}

func hardLink(id int64, path, target string, size int64) []byte {
	return frame(&wire.Entry{ID: id, Path: path, Kind: wire.EntryLink, Size: size, Target: target, Now: true})
}

// A link leads only to a whole file of its own delivery that was announced for it.
func TestHostileLinks(t *testing.T) {
	t.Parallel()
	asks := frame(&wire.Entry{ID: 1, Path: "d", Kind: wire.EntryFolder, Mode: 0o755, Links: true})
	total := func(n int64) []byte { return frame(&wire.Total{Entries: n}) }
	const size = proto.SmallFileBytes + 1
	large := frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: size, Now: true, Links: true})
	for _, tt := range []struct {
		name   string
		o      files.ReceiveOptions
		frames []byte
		want   proto.Code
		there  bool
	}{
		{"a link", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/a", 1), total(3)), proto.OK, true},
		{"not asked for", files.ReceiveOptions{}, join(folder(1, "d"), linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/a", 1), total(3)), proto.OK, true},
		{"to nothing", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/c", 1), total(3)), proto.Unsafe, false},
		{"to itself", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/b", 1), total(3)), proto.Unsafe, false},
		{"to a file without the mark", files.ReceiveOptions{}, join(asks, now(2, "d/a", "x"), hardLink(3, "d/b", "d/a", 1), total(3)), proto.Unsafe, false},
		{"to a folder", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d", 1), total(3)), proto.Unsafe, false},
		{"to a file that was there", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "there", 5), total(3)), proto.Unsafe, false},
		{"to a path outside", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "../outside", 5), total(3)), proto.Unsafe, false},
		{"to an absolute path", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "/etc/passwd", 5), total(3)), proto.Unsafe, false},
		{"to another spelling", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/./a", 1), total(3)), proto.Unsafe, false},
		{"to a refused name", files.ReceiveOptions{}, join(asks, linkable(2, "d/a\n", "x"), hardLink(3, "d/b", "d/a\n", 1), total(3)), proto.Unsafe, false},
		{"to a later file", files.ReceiveOptions{}, join(asks, hardLink(2, "d/b", "d/c", 1), linkable(3, "d/c", "x"), total(3)), proto.Unsafe, false},
		{"to a file that was not sent", files.ReceiveOptions{}, join(asks, large, frame(&wire.End{ID: 2, Code: proto.Changed}), hardLink(3, "d/b", "d/a", size), frame(&wire.Total{Entries: 3, Failed: 1, Code: proto.Changed})), proto.Changed, false},
		{"within a file", files.ReceiveOptions{}, join(asks, large, hardLink(3, "d/b", "d/a", size)), proto.Protocol, false},
		{"of another size", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/a", 2), total(3)), proto.Unsafe, false},
		{"over a name of this delivery", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/a", "d/a", 1)), proto.Protocol, false},
		{"under a name that may not be", files.ReceiveOptions{}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "../b", "d/a", 1), total(3)), proto.Unsafe, false},
		{"over a file that is there", files.ReceiveOptions{}, join(linkable(1, "a", "x"), hardLink(2, "there", "a", 1), total(2)), proto.Unsafe, false},
		{"over a file that is there, with force", files.ReceiveOptions{Force: true}, join(linkable(1, "a", "x"), hardLink(2, "there", "a", 1), total(2)), proto.Unsafe, false},
		{"counted", files.ReceiveOptions{MaxBytes: 1}, join(asks, linkable(2, "d/a", "x"), hardLink(3, "d/b", "d/a", 1), total(3)), proto.Space, false},
		{"with an answer", files.ReceiveOptions{}, join(asks, raw(wire.TypeEntry, `{"id":2,"path":"d/b","kind":"link","size":1,"target":"d/a"}`)), proto.Protocol, false},
		{"with a mode", files.ReceiveOptions{}, join(asks, raw(wire.TypeEntry, `{"id":2,"path":"d/b","kind":"link","size":1,"mode":1,"target":"d/a","now":true}`)), proto.Protocol, false},
		{"without a target", files.ReceiveOptions{}, join(asks, raw(wire.TypeEntry, `{"id":2,"path":"d/b","kind":"link","size":1,"now":true}`)), proto.Protocol, false},
		{"a mark on a link", files.ReceiveOptions{}, join(asks, raw(wire.TypeEntry, `{"id":2,"path":"d/b","kind":"link","size":1,"target":"d/a","now":true,"links":true}`)), proto.Protocol, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			to := filepath.Join(t.TempDir(), "in")
			write(t, filepath.Join(to, "there"), []byte("there"))
			write(t, filepath.Join(filepath.Dir(to), "outside"), []byte("there"))
			_, err := lie(t, to, tt.o, tt.frames)
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			if _, err := os.Lstat(filepath.Join(to, "d/b")); (err == nil) != tt.there {
				t.Errorf("the link is there: %t", err == nil)
			}
			if got := read(t, filepath.Join(to, "there")); got != "there" {
				t.Errorf("the file that was there holds %q", got)
			}
		})
	}
}

// Only so many files can be marked.
func TestManyLinked(t *testing.T) {
	t.Parallel()
	frames := frame(&wire.Entry{ID: 1, Path: "d", Kind: wire.EntryFolder, Mode: 0o755, Links: true})
	for id := int64(2); id < proto.MaxLinked+4; id++ {
		frames = append(frames, linkable(id, fmt.Sprintf("d/%06d", id), "x")...)
	}
	if _, err := lie(t, t.TempDir(), files.ReceiveOptions{}, frames); proto.CodeOf(err) != proto.Protocol {
		t.Errorf("got %v, want %v", err, proto.Protocol)
	}
}

// The target of a link that has changed since it was stored is not linked to.
func TestLinkToChanged(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(path string) error{
		"replaced": func(path string) error {
			return firstErr(os.WriteFile(path+"2", []byte("other"), 0o644), os.Rename(path+"2", path))
		},
		"a symbolic link": func(path string) error { return firstErr(os.Remove(path), os.Symlink("../../outside", path)) },
		"longer":          func(path string) error { return os.WriteFile(path, []byte("longer"), 0o644) },
		"gone":            os.Remove,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			to := filepath.Join(t.TempDir(), "in")
			write(t, filepath.Join(filepath.Dir(to), "outside"), []byte("outside"))
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			first := join(frame(&wire.Entry{ID: 1, Path: "d", Kind: wire.EntryFolder, Mode: 0o755, Links: true}), linkable(2, "d/a", "first"))
			then := join(hardLink(3, "d/b", "d/a", 5), frame(&wire.Total{Entries: 3}))
			r := &pausedReader{first: strings.NewReader(string(first)), then: strings.NewReader(string(then)), pause: func() {
				path := filepath.Join(to, "d", "a")
				poll(t, func() bool { _, err := os.Lstat(path); return err == nil })
				if err := change(path); err != nil {
					t.Error(err)
				}
			}}
			_, err := lieFrom(t, to, files.ReceiveOptions{}, r)
			if got := proto.CodeOf(err); got != proto.Unsafe {
				t.Errorf("got %v (%v), want %v", got, err, proto.Unsafe)
			}
			if _, err := os.Lstat(filepath.Join(to, "d/b")); err == nil {
				t.Error("the link is there")
			}
		})
	}
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// pausedReader calls pause once between its two parts.
type pausedReader struct {
	first, then *strings.Reader
	pause       func()
}

func (r *pausedReader) Read(p []byte) (int, error) {
	if r.first.Len() > 0 {
		return r.first.Read(p)
	}
	if r.pause != nil {
		r.pause()
		r.pause = nil
	}
	return r.then.Read(p)
}
