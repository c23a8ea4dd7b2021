//go:build unix

package files_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/xtest"
)

// small is the largest size of a small file, large the smallest of a large one.
const (
	small = proto.SmallFileBytes
	large = proto.SmallFileBytes + 1
)

// tree makes a folder with files of all sizes, modes and times, and returns it.
func tree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, size := range map[string]int{
		"empty": 0, "one": 1, "small": small, "large": large, "chunks": 3*proto.MaxChunkBytes + 7, "chunk": proto.MaxChunkBytes,
		".hidden": 10, "-dash": 10, "sub/file": 100, "sub/sub/deep": large, "sub.d/file": 1, "Zeta": 1, "ümlaut": 5, "zeta.x": 3,
	} {
		write(t, filepath.Join(dir, name), xtest.Random(size))
	}
	for name, mode := range map[string]fs.FileMode{"one": 0o600, "small": 0o755, "large": 0o444, "empty": 0o400, "sub": 0o555, "none": 0o700} {
		if name == "none" {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	allowCleanup(t, dir)
	old := time.Unix(1234567890, 123456789)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		old = old.Add(-time.Hour)
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// allowCleanup lets a user who is not root remove a tree, or a copy of it: its folder
// sub cannot be written.
func allowCleanup(t testing.TB, dir string) {
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "sub"), 0o755) })
}

// list returns the names below a folder, with modes, times and content.
func list(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		what := ""
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%d %x", len(b), b[:min(32, len(b))])
		case info.Mode()&fs.ModeSymlink != 0:
			what, _ = os.Readlink(path)
			got[rel] = "-> " + what
			return nil
		}
		got[rel] = fmt.Sprintf("%v %v %s", info.Mode(), info.ModTime().UnixNano(), what)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return got
}

func wantSame(t testing.TB, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: got %s, want %s", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there", name)
		}
	}
}

// A folder and a file are sent. The second time, none of their data is.
func TestTree(t *testing.T) {
	t.Parallel()
	from, to := tree(t), t.TempDir()
	alone := filepath.Join(t.TempDir(), "alone")
	write(t, alone, xtest.Random(large))
	allowCleanup(t, filepath.Join(to, "tree"))
	var r run
	r.transfer(t, to, from, alone)
	r.wantCodes(t, proto.OK, proto.OK)
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))
	if got := read(t, filepath.Join(to, "alone")); got != string(xtest.Random(large)) {
		t.Error("alone is another file")
	}
	if r.sent != r.received || r.sent.Files != 15 || r.sent.Skipped != 0 {
		t.Errorf("got %+v and %+v, want 15 files", r.sent, r.received)
	}
	var again run
	again.transfer(t, to, from, alone)
	again.wantCodes(t, proto.OK, proto.OK)
	if again.sent.Files != 0 || again.sent.Skipped != 15 || again.there > r.there/100 {
		t.Errorf("got %+v and %d bytes, want 15 files skipped and less than 1 %% of %d bytes", again.sent, again.there, r.there)
	}
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))
}

// Files of the same name are there already.
func TestThere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		size          int
		other         int // what is there
		force, rename bool
		want          proto.Code
		file, second  bool // replaced; stored under another name
	}{
		{name: "small, other size", size: 10, other: 11, want: proto.Unsafe},
		{name: "small, same size", size: 10, other: 10, want: proto.Unsafe},
		{name: "large, other size", size: large, other: 11, want: proto.Unsafe},
		{name: "large, same size", size: large, other: large, want: proto.Unsafe},
		{name: "small, force", size: 10, other: 10, force: true, file: true},
		{name: "large, force", size: large, other: large, force: true, file: true},
		{name: "large, force, other size", size: large, other: 5, force: true, file: true},
		{name: "small, rename", size: 10, other: 10, rename: true, second: true},
		{name: "large, rename", size: large, other: large, rename: true, second: true},
		{name: "large, rename, other size", size: large, other: 0, rename: true, second: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, to := t.TempDir(), t.TempDir()
			data, other := xtest.Random(tt.size), bytes.Repeat([]byte("x"), tt.other)
			write(t, filepath.Join(dir, "f.txt"), data)
			write(t, filepath.Join(dir, "z"), data)
			write(t, filepath.Join(to, "f.txt"), other)
			var r run
			r.recv.Force, r.recv.Rename = tt.force, tt.rename
			r.transfer(t, to, filepath.Join(dir, "f.txt"), filepath.Join(dir, "z"))
			r.wantCodes(t, tt.want, tt.want)
			want := map[string][]byte{"f.txt": other, "z": data}
			if tt.file {
				want["f.txt"] = data
			}
			if tt.second {
				want["f (2).txt"] = data
			}
			names, err := filepath.Glob(filepath.Join(to, "*"))
			if err != nil || len(names) != len(want) {
				t.Errorf("got %v, %v, want %d", names, err, len(want))
			}
			for name, data := range want {
				if got := read(t, filepath.Join(to, name)); got != string(data) {
					t.Errorf("%s is another file of %d bytes", name, len(got))
				}
			}
			if tt.want != 0 && (len(r.sendLines) != 1 || len(r.recvLines) != 1) {
				t.Errorf("got %q and %q, want a line each", r.sendLines, r.recvLines)
			}
		})
	}
}

// Something that must not be touched has the name of a file.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(dir, outside string) error
		want proto.Code // with force
	}{
		{"a link out", func(dir, outside string) error { return os.Symlink(outside, filepath.Join(dir, "f")) }, proto.OK},
		{"a link to nowhere", func(dir, _ string) error { return os.Symlink("nowhere", filepath.Join(dir, "f")) }, proto.OK},
		{"a hard link", func(dir, outside string) error { return os.Link(outside, filepath.Join(dir, "f")) }, proto.OK},
		{"a FIFO", func(dir, _ string) error { return syscall.Mkfifo(filepath.Join(dir, "f"), 0o644) }, proto.Unsafe},
		{"a socket", func(dir, _ string) error { return socket(filepath.Join(dir, "f")) }, proto.Unsafe},
		{"a device", func(dir, _ string) error { return unix.Mknod(filepath.Join(dir, "f"), unix.S_IFCHR|0o666, 1<<8|5) }, proto.Unsafe},
		{"a folder", func(dir, _ string) error { return os.Mkdir(filepath.Join(dir, "f"), 0o755) }, proto.Unsafe},
	} {
		for _, size := range []int{10, large} {
			for _, force := range []bool{false, true} {
				t.Run(fmt.Sprint(tt.name, size, force), func(t *testing.T) {
					t.Parallel()
					from, to, outside := filepath.Join(t.TempDir(), "f"), t.TempDir(), filepath.Join(t.TempDir(), "outside")
					write(t, from, xtest.Random(size))
					write(t, outside, bytes.Repeat([]byte("x"), size))
					if err := tt.make(to, outside); err != nil {
						t.Skip(err)
					}
					want := proto.Unsafe
					if force {
						want = tt.want
					}
					var r run
					r.recv.Force = force
					r.transfer(t, to, from)
					r.wantCodes(t, want, want)
					if got := read(t, outside); got != strings.Repeat("x", size) {
						t.Error("what is outside was written")
					}
					info, err := os.Lstat(filepath.Join(to, "f"))
					if err != nil || (want == proto.OK) != (info.Mode().IsRegular() && read(t, filepath.Join(to, "f")) == string(xtest.Random(size))) {
						t.Errorf("got %v, %v with code %v", info.Mode(), err, want)
					}
					if left, _ := filepath.Glob(filepath.Join(to, ".mesh-*")); len(left) > 0 {
						t.Errorf("%v is left", left)
					}
				})
			}
		}
	}
}

// socket makes a socket.
func socket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// A link has the name of a folder. It is not followed.
func TestLinkedFolder(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{false, true} {
		from, to, outside := tree(t), t.TempDir(), t.TempDir()
		at := outside
		if inside {
			at = "elsewhere"
			if err := os.Mkdir(filepath.Join(to, at), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(at, filepath.Join(to, "tree")); err != nil {
			t.Fatal(err)
		}
		var r run
		r.recv.Force = true
		r.transfer(t, to, from)
		r.wantCodes(t, proto.Unsafe, proto.Unsafe)
		if got := list(t, outside); len(got) != 1 {
			t.Errorf("got %v outside", got)
		}
		if got := list(t, to); len(got) > 3 {
			t.Errorf("got %v", got)
		}
	}
}

// A FIFO and a link that leads out are reported or left out, and the rest is sent.
func TestSpecial(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		from, to := tree(t), t.TempDir()
		allowCleanup(t, filepath.Join(to, "tree"))
		if err := syscall.Mkfifo(filepath.Join(from, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/one", filepath.Join(from, "link")); err != nil {
			t.Fatal(err)
		}
		var r run
		r.send.SkipSpecial = skip
		r.transfer(t, to, from)
		if skip {
			r.wantCodes(t, proto.OK, proto.OK)
		} else {
			r.wantCodes(t, proto.IO, proto.IO)
			if lines := strings.Join(r.sendLines, "\n"); r.sent.Failed != 2 || !strings.Contains(lines, "tree/fifo: io: not sent: it is a FIFO") || !strings.Contains(lines, "tree/link") {
				t.Errorf("got %+v, %s", r.sent, lines)
			}
		}
		if r.received.Files != 14 {
			t.Errorf("got %+v, want 14 files", r.received)
		}
	}
}

// Links that stay inside are sent, and no others.
func TestSymlinks(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(from, "sub", "f"), nil)
	links := map[string]string{
		"good": "sub/f", "self": "self", "nowhere": "missing", "sub/up": "../good", "sub/here": "./f",
		"abs": "/etc/passwd", "out": "../x", "sub/out": "../../x", "sub/zigzag": "f/../../../x", "dot": "..",
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	var r run
	r.transfer(t, to, from)
	r.wantCodes(t, proto.Unsafe, proto.Unsafe)
	if r.sent.Failed != 5 || len(r.sendLines) != 5 {
		t.Errorf("got %+v %q, want 5 that are not sent", r.sent, r.sendLines)
	}
	got := list(t, filepath.Join(to, "d"))
	for _, name := range []string{"good", "self", "nowhere", "sub/up", "sub/here"} {
		if got[name] != "-> "+links[name] {
			t.Errorf("%s: got %q, want a link to %s", name, got[name], links[name])
		}
	}
	if len(got) != 5+3 {
		t.Errorf("got %v, want 5 links", got)
	}
	var again run
	again.transfer(t, to, from)
	if again.sent.Skipped != 6 || again.sent.Files != 0 {
		t.Errorf("got %+v, want 6 skipped", again.sent)
	}
}

// A transfer goes on with the part of an earlier one.
func TestResume(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	for _, tt := range []struct {
		name   string
		damage func(part []byte) []byte
		saved  bool
	}{
		{"a part", func(p []byte) []byte { return p }, true},
		{"less of it", func(p []byte) []byte { return p[:len(p)-100] }, true},
		{"another part", func(p []byte) []byte { p[5] ^= 1; return p }, false},
		{"more than the whole", func([]byte) []byte { return make([]byte, size+1) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, to := filepath.Join(t.TempDir(), "f"), t.TempDir()
			data := xtest.Random(size)
			write(t, from, data)
			part := cutShort(t, to, from, data[:2<<20])
			held, err := os.ReadFile(part)
			if err != nil || !bytes.Equal(held, data[:len(held)]) || len(held) < 1<<20 {
				t.Fatalf("got a part of %d bytes, %v", len(held), err)
			}
			write(t, part, tt.damage(held))
			var r run
			r.recv.Owner = "alice"
			r.transfer(t, to, from)
			r.wantCodes(t, proto.OK, proto.OK)
			if got := read(t, filepath.Join(to, "f")); got != string(data) {
				t.Errorf("got another file of %d bytes", len(got))
			}
			if (r.there < size/2) != tt.saved {
				t.Errorf("got %d bytes that travelled, saved should be %t", r.there, tt.saved)
			}
			if left, _ := filepath.Glob(filepath.Join(to, ".mesh-*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
	t.Run("of another peer", func(t *testing.T) {
		t.Parallel()
		from, to := filepath.Join(t.TempDir(), "f"), t.TempDir()
		data := xtest.Random(size)
		write(t, from, data)
		part := cutShort(t, to, from, data[:2<<20])
		var r run
		r.recv.Owner = "mallory"
		r.transfer(t, to, from)
		r.wantCodes(t, proto.OK, proto.OK)
		if r.there < size {
			t.Errorf("only %d bytes travelled", r.there)
		}
		if _, err := os.Stat(part); err != nil {
			t.Error(err)
		}
	})
	t.Run("beside another file of that size", func(t *testing.T) {
		t.Parallel()
		from, to := filepath.Join(t.TempDir(), "f"), t.TempDir()
		data := xtest.Random(size)
		write(t, from, data)
		cutShort(t, to, from, data[:2<<20])
		write(t, filepath.Join(to, "f"), make([]byte, size))
		var r run
		r.recv.Owner, r.recv.Force = "alice", true
		r.transfer(t, to, from)
		r.wantCodes(t, proto.OK, proto.OK)
		if got := read(t, filepath.Join(to, "f")); got != string(data) {
			t.Errorf("got another file of %d bytes", len(got))
		}
	})
	t.Run("a hard link", func(t *testing.T) {
		t.Parallel()
		from, to, outside := filepath.Join(t.TempDir(), "f"), t.TempDir(), filepath.Join(t.TempDir(), "o")
		data := xtest.Random(size)
		write(t, from, data)
		part := cutShort(t, to, from, data[:2<<20])
		if err := os.Rename(part, outside); err != nil {
			t.Fatal(err)
		}
		before := read(t, outside)
		for _, link := range []func(string, string) error{os.Link, os.Symlink} {
			if err := link(outside, part); err != nil {
				t.Fatal(err)
			}
			var r run
			r.recv.Owner, r.recv.Force = "alice", true
			r.transfer(t, to, from)
			r.wantCodes(t, proto.OK, proto.OK)
			if read(t, outside) != before {
				t.Error("what is outside was written")
			}
			if err := os.Remove(part); err != nil {
				t.Fatal(err)
			}
		}
	})
}
