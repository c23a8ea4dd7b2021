package files_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// entry is a member of an archive, written unchecked.
type entry struct {
	name, holds string
	kind        byte // of a tar; a zip knows only TypeSymlink
	link        string
}

// zipOf makes a zip. As usual for zip.Writer, the size of a member follows its data.
func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasSuffix(e.name, "/") {
			h.SetMode(0o755 | os.ModeDir)
		}
		if e.kind == tar.TypeSymlink {
			h.SetMode(0o777 | os.ModeSymlink)
			e.holds = e.link
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, e.holds)
		}
		if err != nil {
			t.Fatalf("%q: %v", e.name, err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Linkname: e.link, Size: int64(len(e.holds)), Mode: 0o644}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if e.kind != 0 {
			h.Typeflag = e.kind
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%q: %v", e.name, err)
		}
		if _, err := io.WriteString(w, e.holds); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sendArchive sends the content of an archive to a folder.
func sendArchive(t testing.TB, archive []byte, o files.SendOptions) (r run, to string) {
	t.Helper()
	name, to := filepath.Join(t.TempDir(), "archive"), filepath.Join(t.TempDir(), "in")
	write(t, name, archive)
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	r.send = o
	r.send.Archive = true
	r.transfer(t, to, name)
	if names, _ := os.ReadDir(filepath.Dir(to)); len(names) != 1 {
		t.Errorf("got %v outside", names)
	}
	return r, to
}

// stored lists the names below a folder and the content of the files.
func stored(to string) string {
	var got []string
	_ = filepath.WalkDir(to, func(path string, d os.DirEntry, _ error) error {
		rel, _ := filepath.Rel(to, path)
		rel = filepath.ToSlash(rel)
		switch {
		case rel == "." || strings.HasPrefix(d.Name(), ".mesh-"):
		case d.IsDir():
			got = append(got, rel+"/")
		case d.Type().IsRegular():
			b, _ := os.ReadFile(path)
			got = append(got, fmt.Sprintf("%s=%s", rel, b))
		default:
			link, _ := os.Readlink(path)
			got = append(got, rel+"->"+link)
		}
		return nil
	})
	return strings.Join(got, " ")
}

func TestArchiveContent(t *testing.T) {
	t.Parallel()
	f := func(name string) entry { return entry{name: name, holds: "x"} }
	link := func(name, to string) entry { return entry{name: name, kind: tar.TypeSymlink, link: to} }
	for _, tt := range []struct {
		name    string
		entries []entry
		o       files.SendOptions
		want    proto.Code
		stored  string
	}{
		{"nothing", nil, files.SendOptions{}, proto.OK, ""},
		{"no order", []entry{f("b/z"), f("a"), {name: "b/"}, f("b/A"), f("B.c")}, files.SendOptions{}, proto.OK, "B.c=x a=x b/ b/A=x b/z=x"},
		{"no folders", []entry{f("a/b/c"), f("a/d")}, files.SendOptions{}, proto.OK, "a/ a/b/ a/b/c=x a/d=x"},
		{"as tar c . has it", []entry{{name: "./"}, f("./a"), {name: "./d/"}, f("./d/.e")}, files.SendOptions{}, proto.OK, "a=x d/ d/.e=x"},
		{"hidden at the top", []entry{f("./.a"), f("-b"), f("c")}, files.SendOptions{}, proto.Unsafe, "c=x"},
		{"absolute", []entry{f("/etc/passwd"), f("a")}, files.SendOptions{}, proto.Unsafe, "a=x"},
		{"up", []entry{f("../a"), f("a/../../b"), f("a/.."), {name: "../"}, f("c")}, files.SendOptions{}, proto.Unsafe, "c=x"},
		{"twice", []entry{f("a"), f("b"), {name: "a", holds: "y"}}, files.SendOptions{}, proto.Unsafe, "b=x"},
		{"a folder twice", []entry{{name: "a/"}, f("a/x"), {name: "a/"}, f("a/y")}, files.SendOptions{}, proto.OK, "a/ a/x=x a/y=x"},
		{"a file and a folder", []entry{f("a"), {name: "a/"}, f("a/x"), f("b")}, files.SendOptions{}, proto.Unsafe, "b=x"},
		{"below a file", []entry{f("a"), f("a/x"), f("b")}, files.SendOptions{}, proto.Unsafe, "a=x b=x"},
		{"below a link", []entry{link("d/l", "e"), f("d/l/x"), f("d/e")}, files.SendOptions{}, proto.Unsafe, "d/ d/e=x d/l->e"},
		{"another case", []entry{f("A/x"), f("a/x"), f("b"), f("c"), f("C")}, files.SendOptions{}, proto.OK, "A/ A/x=x C=x a/ a/x=x b=x c=x"},
		{"names of other systems", []entry{f(`a\b`), f("caf\xe9"), f("d/\u200f.x")}, files.SendOptions{}, proto.OK, `a\b=x caf` + "\xe9=x d/ d/\u200f.x=x"},
		{"ours", []entry{f("a/.mesh-x.part"), f("b")}, files.SendOptions{}, proto.Unsafe, "b=x"},
		{"links", []entry{link("d/a", "b/c"), link("d/e/up", "../x"), f("d/x")}, files.SendOptions{}, proto.OK, "d/ d/a->b/c d/e/ d/e/up->../x d/x=x"},
		{"links out", []entry{link("d/a", "../../x"), link("d/b", "/etc"), link("l", "x"), link("d/c", "x/../../y"), f("d/x")}, files.SendOptions{}, proto.Unsafe, "d/ d/x=x"},
		{"links left out", []entry{link("d/a", "x"), link("d/b", "/etc"), f("d/x")}, files.SendOptions{SkipSymlinks: true}, proto.OK, "d/ d/x=x"},
		{"links out left out", []entry{link("d/a", "x"), link("d/b", "/etc"), f("d/x")}, files.SendOptions{SkipSpecial: true}, proto.OK, "d/ d/a->x d/x=x"},
	} {
		for format, archive := range map[string][]byte{files.Zip: zipOf(t, tt.entries...), files.Tar: tarOf(t, tt.entries...)} {
			t.Run(format+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				r, to := sendArchive(t, archive, tt.o)
				r.wantCodes(t, tt.want, tt.want)
				if got := stored(to); got != tt.stored {
					t.Errorf("got %s, want %s; %q", got, tt.stored, r.sendLines)
				}
			})
		}
	}
}

// An archive with all names that may not be written: the rest of it is stored, and
// the refused names are shown escaped.
func TestHostileArchive(t *testing.T) {
	t.Parallel()
	var hard []entry
	for _, path := range hostile() {
		if strings.Contains(path, "/") && slices.Contains(deceptive(), path) {
			continue // the folder would be stored
		}
		if path != "" && !strings.HasSuffix(path, "/") && !strings.HasPrefix(path, "./") && !strings.Contains(path, "\x00") {
			hard = append(hard, entry{name: path, holds: "x"})
		}
	}
	if len(hard) < 100 {
		t.Errorf("got %d names, want 100", len(hard))
	}
	tarHard := slices.DeleteFunc(slices.Clone(hard), func(e entry) bool {
		return len(e.name) > 100 // tar.Writer checks names that do not fit into one block
	})
	for format, archive := range map[string][]byte{
		files.Zip: zipOf(t, append(hard, entry{name: "good"})...), files.Tar: tarOf(t, append(tarHard, entry{name: "good"})...),
	} {
		r, to := sendArchive(t, archive, files.SendOptions{})
		r.wantCodes(t, proto.Unsafe, proto.Unsafe)
		want := len(hard)
		if format == files.Tar {
			want = len(tarHard)
		}
		if got := stored(to); got != "good=" || r.sent.Failed+r.sent.Refused != int64(want) || r.sent.Failed == 0 {
			t.Errorf("%s: got %s and %+v, want %d refused", format, got, r.sent, want)
		}
		for _, line := range r.sendLines {
			if strings.ContainsAny(line, "\n\x1b\u202e\r") || !strings.Contains(line, ": unsafe: ") {
				t.Errorf("%s: got %q", format, line)
			}
		}
	}
}

// Kinds of members that only a tar has.
func TestTarKinds(t *testing.T) {
	t.Parallel()
	r, to := sendArchive(t, tarOf(t,
		entry{name: "a", holds: "x"}, entry{name: "hard", kind: tar.TypeLink, link: "/etc/passwd"}, entry{name: "fifo", kind: tar.TypeFifo},
		entry{name: "dev", kind: tar.TypeChar}, entry{name: "disk", kind: tar.TypeBlock},
	), files.SendOptions{})
	r.wantCodes(t, proto.IO, proto.IO)
	if got := stored(to); got != "a=x" || r.sent.Failed != 4 {
		t.Errorf("got %s and %+v, want 4 that are not sent: %q", got, r.sent, r.sendLines)
	}
	r, _ = sendArchive(t, tarOf(t, entry{name: "fifo", kind: tar.TypeFifo}), files.SendOptions{SkipSpecial: true})
	r.wantCodes(t, proto.OK, proto.OK)
}

// patch changes a field of the directory of a zip with one member.
func patch(b []byte, signature string, at int, value uint32) []byte {
	b = bytes.Clone(b)
	i := bytes.LastIndex(b, []byte(signature))
	binary.LittleEndian.PutUint32(b[i+at:], value)
	return b
}

// Archives that are cut short, or whose headers lie about the content: nothing wrong is
// stored.
func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	const directory, end = "PK\x01\x02", "PK\x05\x06"
	big := strings.Repeat("0123456789abcdef", 1<<14)
	smallZip, largeZip := zipOf(t, entry{name: "a", holds: "hello"}), zipOf(t, entry{name: "a", holds: big})
	smallTar, largeTar := tarOf(t, entry{name: "a", holds: "hello"}), tarOf(t, entry{name: "a", holds: big})
	huge := bytes.Clone(smallTar)
	copy(huge[124:136], "77777777777\x00") // octal, 8 GiB
	copy(huge[148:156], checksum(huge[:512]))
	for _, tt := range []struct {
		name    string
		archive []byte
		want    proto.Code
	}{
		{"more than it says", patch(smallZip, directory, 24, 3), proto.IO},
		{"less than it says", patch(smallZip, directory, 24, 9), proto.IO},
		{"another checksum", patch(smallZip, directory, 16, 1), proto.IO},
		{"a large one, more than it says", patch(largeZip, directory, 24, uint32(len(big)-1)), proto.IO},
		{"a large one, less than it says", patch(largeZip, directory, 24, uint32(len(big)+1)), proto.IO},
		{"a large one, another checksum", patch(largeZip, directory, 16, 1), proto.IO},
		{"a large one that says it is small", patch(largeZip, directory, 24, 5), proto.IO},
		{"encrypted", patch(smallZip, directory, 8, 1|8<<16), proto.IO},
		{"an unknown method", patch(smallZip, directory, 8, 8|99<<16), proto.IO},
		{"somewhere else", patch(smallZip, directory, 42, 1<<30), proto.IO},
		{"no directory", smallZip[:bytes.LastIndex(smallZip, []byte(directory))], proto.Truncated},
		{"half a zip", largeZip[:len(largeZip)/2], proto.Truncated},
		{"no end of the last record", smallZip[:len(smallZip)-1], proto.Truncated},
		{"a damaged directory", patch(smallZip, directory, 0, 0), proto.Protocol},
		{"a directory elsewhere", patch(smallZip, end, 16, 1<<30), proto.IO},
		{"more in the directory", patch(smallZip, end, 8, 0x00ff00ff), proto.Truncated},
		{"nothing at all", nil, proto.Usage},
		{"a text", []byte(strings.Repeat("a text\n", 200)), proto.Usage},
		{"half a tar", largeTar[:len(largeTar)/2], proto.Truncated},
		{"half a header", smallTar[:300], proto.Truncated},
		{"half a mode", smallTar[:104], proto.Truncated},
		{"half a name", smallTar[:50], proto.Truncated},
		{"a letter", smallTar[:1], proto.Usage},
		{"zeros", make([]byte, 50), proto.Usage},
		{"no end", smallTar[:1024], proto.Truncated},
		{"no end, and no full block", smallTar[:517], proto.Truncated},
		{"larger than the tar", huge, proto.Truncated},
		{"a damaged header", append(bytes.Clone(smallTar[:1024]), bytes.Repeat([]byte("x"), 1024)...), proto.Protocol},
		{"compressed", []byte("\x1f\x8b\x08\x00"), proto.Usage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, to := sendArchive(t, tt.archive, files.SendOptions{})
			if got := proto.CodeOf(r.sendErr); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, r.sendErr, tt.want)
			}
			if r.recvErr == nil {
				t.Errorf("the receiver is content: %+v", r.received)
			}
			if got := stored(to); got != "" {
				t.Errorf("%d bytes are stored", len(got))
			}
		})
	}
}

// checksum returns the checksum of a tar header.
func checksum(header []byte) string {
	sum := 8 * int(' ')
	for i, c := range header {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	return fmt.Sprintf("%06o\x00 ", sum)
}

// A zip bomb with true sizes: the receiver's limit ends the transfer.
func TestZipBomb(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("zeros")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "bomb.zip")
	write(t, name, b.Bytes())
	var r run
	r.send.Archive, r.recv.MaxBytes = true, 1<<20
	to := t.TempDir()
	r.transfer(t, to, name)
	if got := proto.CodeOf(r.recvErr); got != proto.Space || stored(to) != "" {
		t.Errorf("got %v (%v) and %s, want %v", got, r.recvErr, stored(to), proto.Space)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// recorder notes the length of an archive after each write.
type recorder struct {
	bytes.Buffer
	at []int
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.Buffer.Write(p)
	r.at = append(r.at, r.Len())
	return n, err
}

// readTar reads a tar as GNU tar does, which takes a tar that ends in a header for a
// whole one.
func readTar(b []byte) error {
	t := tar.NewReader(bytes.NewReader(b[:len(b)/512*512]))
	for {
		if _, err := t.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, t); err != nil {
			return err
		}
	}
}

// A tar that is cut after any write is not whole, also with more folders in a row than
// the writer holds back.
func TestTarHasNoFalseEnd(t *testing.T) {
	t.Parallel()
	var frames []byte
	id := int64(0)
	add := func(b []byte) { frames = append(frames, b...); id++ }
	add(folder(id+1, "a"))
	for i := range 1000 {
		add(now(id+1, fmt.Sprintf("a/%04d", i), strings.Repeat("x", i%4*512+i%2)))
	}
	add(folder(id+1, "b"))
	for i := range 8000 {
		add(folder(id+1, fmt.Sprintf("b/%04d", i)))
	}
	add(now(id+1, "b/z", "x"))
	total := frame(&wire.Total{Entries: id})
	var whole, cut recorder
	collect := func(out io.Writer, frames []byte) error {
		_, err := files.ReceiveArchive(context.Background(), files.Tar, out, nil, bytes.NewReader(frames), io.Discard, files.ReceiveOptions{})
		return err
	}
	xtest.WantCode(t, "whole", collect(&whole, append(bytes.Clone(frames), total...)), proto.OK)
	xtest.WantCode(t, "cut", collect(&cut, frames), proto.Truncated)
	if len(whole.at) < 8 {
		t.Errorf("it was written at once, or nearly: %d", whole.at)
	}
	for _, n := range append(whole.at[:len(whole.at)-1], cut.at...) {
		if err := readTar(whole.Bytes()[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, whole.Len(), err, io.ErrUnexpectedEOF)
		}
	}
	if err := readTar(whole.Bytes()); err != nil {
		t.Error(err)
	}
}

// Frames that no honest sender sends: ReceiveArchive ends no archive.
func TestArchiveLies(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", proto.SmallFileBytes+1)
	total := func(n int64) []byte { return frame(&wire.Total{Entries: n}) }
	ok := now(1, "a", "x")
	for _, tt := range []struct {
		name   string
		frames []byte
		want   proto.Code
	}{
		{"nothing", nil, proto.Truncated},
		{"no end", ok, proto.Truncated},
		{"a wrong total", join(ok, total(2)), proto.Protocol},
		{"something was not sent", join(ok, frame(&wire.Total{Entries: 1, Failed: 1, Code: proto.Changed})), proto.Changed},
		{"a wrong digest", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1, Digest: sum("y"), Now: true}), data("x"), total(1)), proto.Integrity},
		{"more bytes", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1, Digest: sum("xx"), Now: true}), data("xx"), total(1)), proto.Protocol},
		{"fewer bytes", join(frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 2, Digest: sum("x"), Now: true}), data("x"), total(1)), proto.Integrity},
		{"more bytes, large", join(large0(1, "a", int64(len(big)), true), data(big), data("x"), total(1)), proto.Protocol},
		{"fewer bytes, large", join(large0(1, "a", int64(len(big))+1, true), data(big), frame(&wire.End{ID: 1, Digest: sum(big)}), total(1)), proto.Integrity},
		{"a wrong digest, large", join(large0(1, "a", int64(len(big)), true), data(big), frame(&wire.End{ID: 1, Digest: sum("")}), total(1)), proto.Integrity},
		{"changed, large", join(large0(1, "a", int64(len(big)), true), data(big), frame(&wire.End{ID: 1, Code: proto.Changed}), total(1)), proto.Changed},
		{"gone before it began", join(large0(1, "a", int64(len(big)), false), frame(&wire.End{ID: 1, Code: proto.IO}), total(1)), proto.IO},
		{"the end of another", join(large0(1, "a", int64(len(big)), true), data(big), frame(&wire.End{ID: 2, Digest: sum(big)}), total(1)), proto.Protocol},
		{"an end without a beginning", join(large0(1, "a", int64(len(big)), false), frame(&wire.End{ID: 1, Digest: sum("")}), total(1)), proto.Protocol},
		{"an entry within a file", join(large0(1, "a", int64(len(big)), true), now(2, "b", "")), proto.Protocol},
		{"data of nothing", data("x"), proto.Protocol},
		{"from the middle", join(large0(1, "a", int64(len(big)), false), frame(&wire.From{ID: 1, From: 5})), proto.Protocol},
		{"never sent", join(large0(1, "a", int64(len(big)), false), total(1)), proto.Protocol},
		{"2^63-1, and nothing", join(large0(1, "a", 1<<63-1, true), total(1)), proto.Protocol},
		{"the same name twice", join(ok, now(2, "a", "y"), total(2)), proto.Protocol},
		{"another case, portable", join(now(1, "A", "x"), now(2, "a", "y"), total(2)), proto.Unsafe},
		{"an escape sequence", join(now(1, "\x1b[2J", "x"), total(1)), proto.Unsafe},
		{"a name that leads out", join(now(1, "../a", "x"), total(1)), proto.Unsafe},
		{"a link out", join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: "../../x"}), total(2)), proto.Unsafe},
		{"below a file", join(ok, now(2, "a/b", "x"), total(2)), proto.Protocol},
		{"something behind the end", join(ok, total(1), total(1)), proto.Protocol},
	} {
		for _, format := range []string{files.Zip, files.Tar} {
			t.Run(format+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				var out recorder
				committed := false
				_, err := files.ReceiveArchive(t.Context(), format, &out, func() error { committed = true; return nil },
					bytes.NewReader(tt.frames), io.Discard, files.ReceiveOptions{Portable: strings.HasSuffix(tt.name, ", portable")})
				xtest.WantCode(t, tt.name, err, tt.want)
				if tt.name == "something behind the end" {
					return // the archive was ended before
				}
				if committed {
					t.Error("it was committed")
				}
				if format == files.Zip {
					if _, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len())); err == nil {
						t.Error("got a whole zip")
					}
				} else if out.Len() > 0 && readTar(out.Bytes()) == nil {
					t.Error("got a whole tar")
				}
			})
		}
	}
}

// Files at the top wait for answers. They are in the archive in the order of their
// announcement all the same.
func TestArchiveOrder(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", proto.SmallFileBytes+1)
	frames := join(
		large0(1, "a", int64(len(big)), false), folder(2, "b"), large0(3, "c", int64(len(big)), false), folder(4, "d"),
		frame(&wire.From{ID: 1}), data(big), frame(&wire.End{ID: 1, Digest: sum(big)}),
		frame(&wire.From{ID: 3}), data(big), frame(&wire.End{ID: 3, Digest: sum(big)}),
		frame(&wire.Total{Entries: 4}),
	)
	var out bytes.Buffer
	if _, err := files.ReceiveArchive(t.Context(), files.Tar, &out, nil, bytes.NewReader(frames), io.Discard, files.ReceiveOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, h.Name)
	}
	if want := "a b/ c d/"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

// FuzzArchive sends any bytes as an archive. The transfer ends with a code, and writes
// nothing outside the folder.
func FuzzArchive(f *testing.F) {
	entries := []entry{{name: "d/"}, {name: "d/f", holds: "x"}, {name: "../out", holds: "x"}, {name: "d/l", kind: tar.TypeSymlink, link: "f"}}
	f.Add(zipOf(f, entries...))
	f.Add(tarOf(f, entries...))
	f.Add(tarOf(f, append(entries, entry{name: "hard", kind: tar.TypeLink, link: "d/f"}, entry{name: strings.Repeat("long/", 40), holds: ""})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, to := filepath.Join(t.TempDir(), "archive"), filepath.Join(t.TempDir(), "in")
		write(t, name, b)
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		var r run
		r.send.Archive, r.recv.MaxBytes = true, 1<<20
		r.transfer(t, to, name)
		for _, err := range []error{r.sendErr, r.recvErr} {
			if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
				t.Errorf("got %v (%v), want a code that says more", code, err)
			}
		}
		if names, _ := os.ReadDir(filepath.Dir(to)); len(names) != 1 {
			t.Errorf("got %v outside", names)
		}
		if got, want := proto.CodeOf(r.sendErr), proto.CodeOf(r.recvErr); r.sendErr == nil && got != want {
			t.Errorf("the sender ended with %v, the receiver with %v (%v)", got, want, r.recvErr)
		}
	})
}

// What counts the bytes of an archive beside the transfer finds the same as the sender, and
// does not list the archive again: it is gone here.
func TestArchiveAgain(t *testing.T) {
	t.Parallel()
	for kind, archive := range map[string][]byte{
		"tar": tarOf(t, entry{name: "a/b", holds: "b"}, entry{name: "../out", holds: "x"}, entry{name: "c", holds: "cc"}, entry{name: "c", holds: "again"}),
		"zip": zipOf(t, entry{name: "a/b", holds: "b"}, entry{name: "../out", holds: "x"}, entry{name: "c", holds: "cc"}),
	} {
		name := filepath.Join(t.TempDir(), "archive")
		if err := os.WriteFile(name, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		first, again, err := files.ListArchiveTwice(name, func() {
			if err := os.Truncate(name, 0); err != nil {
				t.Error(err)
			}
		})
		if err != nil || len(first) < 4 || !slices.Equal(first, again) {
			t.Errorf("%s: got %v, then %v, %v, want the same entries twice", kind, first, again, err)
		}
	}
}
