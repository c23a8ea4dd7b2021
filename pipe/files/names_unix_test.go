//go:build unix

package files_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
)

// alike are names that some system takes for another one of them.
var alike = []string{"Makefile", "makefile", "straße", "STRASSE", "é", "e\u0301", "K", "\u212a", "dir/a", "DIR/b", "other"}

// names returns the names below a folder, folders with a slash.
func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." && d.IsDir() {
			all = append(all, rel+"/")
		} else if rel != "." {
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	slices.Sort(all)
	return all
}

// unusualTree makes a folder with names that Linux stores and some systems do not.
func unusualTree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for _, name := range append(unusual(), alike...) {
		if strings.Contains(name, "../") || len(name) > proto.MaxNameBytes {
			continue
		}
		path := dir + "/" + name // filepath.Join would clean it
		if os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, []byte(name), 0o644) != nil {
			t.Skipf("this file system does not store %q", name)
		}
	}
	if got := names(t, dir); !slices.Contains(got, "makefile") || !slices.Contains(got, "Makefile") {
		t.Skip("this file system takes two names for one")
	}
	return dir
}

// What this system stores arrives, once and when it is there already, also through an
// archive.
func TestUnusualNames(t *testing.T) {
	t.Parallel()
	from, to := unusualTree(t), t.TempDir()
	for _, want := range []string{"stored", "skipped"} {
		var r run
		r.transfer(t, to, from)
		r.wantCodes(t, proto.OK, proto.OK)
		if got := names(t, filepath.Join(to, "tree")); !slices.Equal(got, names(t, from)) {
			t.Errorf("got %q, want %q", got, names(t, from))
		}
		if (r.sent.Skipped > 0) != (want == "skipped") || (r.sent.Files > 0) != (want == "stored") {
			t.Errorf("got %+v, want all %s", r.sent, want)
		}
	}
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))

	var tar bytes.Buffer
	var r run
	r.collect(t, files.Tar, &tar, from)
	r.wantCodes(t, proto.OK, proto.OK)
	r, to = sendArchive(t, tar.Bytes(), files.SendOptions{})
	r.wantCodes(t, proto.OK, proto.OK)
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))

	r = run{}
	r.collect(t, files.Zip, &tar, from)
	if proto.CodeOf(r.recvErr) != proto.Unsafe || !strings.Contains(r.recvErr.Error(), "UTF-8") {
		t.Errorf("got %v, want that a zip has only UTF-8", r.recvErr)
	}
}

// Names that may deceive a terminal arrive with AnyNames only. Either way they are
// shown escaped.
func TestDeceptiveNames(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "tree")
	total := 0
	for _, name := range deceptive() {
		if !strings.Contains(name, "/") {
			write(t, filepath.Join(from, name), []byte(name))
			total++
		}
	}
	write(t, filepath.Join(from, "good"), nil)
	for _, tt := range []struct {
		o      files.ReceiveOptions
		want   proto.Code
		stored int64
	}{
		{files.ReceiveOptions{}, proto.Unsafe, 1},
		{files.ReceiveOptions{Portable: true}, proto.Unsafe, 1},
		{files.ReceiveOptions{AnyNames: true}, proto.OK, int64(total) + 1},
	} {
		to := t.TempDir()
		r := run{recv: tt.o}
		r.transfer(t, to, from)
		r.wantCodes(t, tt.want, tt.want)
		if r.received.Files != tt.stored || r.received.Refused != int64(total)+1-tt.stored {
			t.Errorf("%+v: got %+v, want %d stored", tt.o, r.received, tt.stored)
		}
		for _, line := range append(r.sendLines, r.recvLines...) {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' }) {
				t.Errorf("%q is shown", line)
			}
		}
	}
}

// Names that differ only in case or normalization both arrive where the file system
// keeps them apart, unless the names must be portable.
func TestAlike(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "tree")
	for _, name := range alike {
		write(t, filepath.Join(from, name), []byte(name))
	}
	if len(names(t, from)) != len(alike)+2 {
		t.Skip("this file system takes some of them for one")
	}
	to := t.TempDir()
	var r run
	r.transfer(t, to, from)
	r.wantCodes(t, proto.OK, proto.OK)
	wantSame(t, list(t, filepath.Join(to, "tree")), list(t, from))

	// As arguments, too.
	to = t.TempDir()
	r = run{}
	r.transfer(t, to, filepath.Join(from, "makefile"), filepath.Join(from, "Makefile"), filepath.Join(from, "dir"), filepath.Join(from, "DIR"))
	r.wantCodes(t, proto.OK, proto.OK)
	if got := names(t, to); len(got) != 6 {
		t.Errorf("got %q, want 6 names", got)
	}

	r = run{recv: files.ReceiveOptions{Portable: true}}
	r.transfer(t, t.TempDir(), from)
	r.wantCodes(t, proto.Unsafe, proto.Unsafe)
	if r.received.Files != 6 || r.received.Refused < 5 {
		t.Errorf("got %+v %q, want 6 stored", r.received, r.recvLines)
	}
}

// foldingDisk mounts a file system that ignores case, and returns a folder in it.
func foldingDisk(t *testing.T) string {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	for _, mount := range []string{
		"mkfs.vfat -F 16 $1 && mount -t vfat -o loop,utf8 $1 $0 && mkdir $0/in",
		"mkfs.ext4 -q -O casefold $1 && mount -o loop $1 $0 && mkdir $0/in && chattr +F $0/in",
		"mkfs.exfat $1 && loop=$(losetup --find --show $1) && { mount.exfat-fuse $loop $0 && mkdir $0/in; losetup --detach $loop; }",
	} {
		err := exec.Command("sh", "-c", "truncate -s 32M $1 && "+mount, dir, image).Run()
		in := filepath.Join(dir, "in")
		if err == nil && os.WriteFile(filepath.Join(in, "x"), nil, 0o644) == nil {
			if _, err := os.Lstat(filepath.Join(in, "X")); err == nil {
				t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
				_ = os.Remove(filepath.Join(in, "x"))
				return in
			}
		}
		_ = exec.Command("umount", dir).Run()
	}
	t.Skip("no file system that ignores case can be mounted")
	return ""
}

// Where the file system takes two names for one, the second is refused, both ends name
// both, and nothing of the first is lost: not with Force, not with Rename, and not
// when the delivery is repeated.
func TestAlikeOnOneName(t *testing.T) {
	from := filepath.Join(t.TempDir(), "tree")
	big := strings.Repeat("x", proto.SmallFileBytes)
	for name, text := range map[string]string{
		"Makefile": "first", "makefile": "second", "Large": big + "first", "large": big + "other", "Same": "same", "same": "same",
		"Dir/a": "in Dir", "dir/b": "in dir", "z": "z",
	} {
		write(t, filepath.Join(from, name), []byte(text))
	}
	for _, o := range []files.ReceiveOptions{{}, {Force: true}, {Rename: true}} {
		to := foldingDisk(t)
		for range 2 {
			r := run{recv: o}
			r.transfer(t, to, from)
			r.wantCodes(t, proto.Unsafe, proto.Unsafe)
			for name, want := range map[string]string{"Makefile": "first", "Large": big + "first", "Same": "same", "Dir/a": "in Dir", "z": "z"} {
				if got := read(t, filepath.Join(to, "tree", name)); got != want {
					t.Errorf("%+v: %s: got %.20q, want %.20q", o, name, got, want)
				}
			}
			if _, err := os.Stat(filepath.Join(to, "tree", "Dir", "b")); err == nil {
				t.Errorf("%+v: two folders became one", o)
			}
			for _, lines := range [][]string{r.sendLines, r.recvLines} {
				for _, pair := range []string{"Makefile", "Large", "Same", "Dir"} {
					ok := slices.ContainsFunc(lines, func(line string) bool {
						return strings.HasPrefix(line, "tree/"+strings.ToLower(pair)+": ") && strings.Contains(line, `"`+pair+`"`)
					})
					if !ok {
						t.Errorf("%+v: %s and its rival are not named: %q", o, pair, lines)
					}
				}
			}
			for _, err := range []error{r.sendErr, r.recvErr} {
				if hints := strings.Join(proto.Hints(err), " "); !strings.Contains(hints, "tar cf - ") {
					t.Errorf("%+v: got hints %q, want the way through tar", o, hints)
				}
			}
		}
	}
}

// A file that was there under another name, which the file system takes for the same, is
// neither kept as what arrives nor guessed at: each spelling would be one more guess.
func TestGuessAtOtherName(t *testing.T) {
	from := filepath.Join(t.TempDir(), "pin")
	write(t, from, []byte("1234"))
	for _, o := range []files.ReceiveOptions{{}, {Force: true}, {Rename: true}} {
		to := foldingDisk(t)
		write(t, filepath.Join(to, "Pin"), []byte("1234"))
		r := run{recv: o}
		r.transfer(t, to, from)
		want := proto.Unsafe
		if o.Rename {
			want = proto.OK
		}
		r.wantCodes(t, want, want)
		if got := len(names(t, to)); got != map[bool]int{false: 1, true: 2}[o.Rename] {
			t.Errorf("%+v: got %q", o, names(t, to))
		}
		s, err := files.OpenSame(filepath.Join(to, "pIN"), files.NewLedger(t.TempDir()), "mallory")
		if proto.CodeOf(err) != proto.Unsafe {
			t.Errorf("a pipe: got %v, want %v", err, proto.Unsafe)
		}
		if err == nil {
			s.Close()
		}
	}
}

// Force replaces no file that was there under another name, which the file system takes
// for the same, and both are named. A file of exactly that name is replaced.
func TestForceOnOtherName(t *testing.T) {
	big := strings.Repeat("x", proto.SmallFileBytes+1)
	from := filepath.Join(t.TempDir(), "tree")
	for _, name := range []string{"case", "large", "exact"} {
		write(t, filepath.Join(from, name), []byte("new"+big[:map[bool]int{true: len(big)}[name == "large"]]))
	}
	to := foldingDisk(t)
	for _, name := range []string{"CASE", "Large", "exact"} {
		write(t, filepath.Join(to, "tree", name), []byte("old"))
	}
	r := run{recv: files.ReceiveOptions{Force: true}}
	r.transfer(t, to, from)
	r.wantCodes(t, proto.Unsafe, proto.Unsafe)
	for name, want := range map[string]string{"CASE": "old", "Large": "old", "exact": "new"} {
		if got := read(t, filepath.Join(to, "tree", name)); got != want {
			t.Errorf("%s: got %.20q, want %q", name, got, want)
		}
	}
	for name, other := range map[string]string{"case": "CASE", "large": "Large"} {
		if all := strings.Join(r.recvLines, "\n"); !strings.Contains(all, "tree/"+name+": ") || !strings.Contains(all, `"`+other+`"`) {
			t.Errorf("%s and %s are not named: %q", name, other, all)
		}
	}
	if p, err := files.Create(filepath.Join(to, "tree", "cAsE"), true, nil); proto.CodeOf(err) != proto.Unsafe {
		p.Abort()
		t.Errorf("a pipe: got %v, want %v", err, proto.Unsafe)
	}
	if p, err := files.Create(filepath.Join(to, "tree", "CASE"), true, nil); err != nil {
		t.Errorf("a pipe to exactly that name: %v", err)
	} else {
		p.Abort()
	}
}
