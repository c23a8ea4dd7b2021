//go:build unix

package files_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mesh/pipe/files"
	"mesh/pipe/files/archive"
	"mesh/proto"
	"mesh/proto/wire"
)

// sparse is a file of zeros with some data.
type sparse struct {
	name string
	size int64
	data map[int64]int // length by offset
}

// sparses are files with holes and with blocks of zeros, around the sizes that matter.
var sparses = []sparse{
	{"all zeros", 3 << 20, nil},
	{"data in the middle", 8 << 20, map[int64]int{4<<20 + 5: 100}},
	{"data at the ends", 8<<20 + 1, map[int64]int{0: 1, 8 << 20: 1}},
	{"one block less", 5<<20 - 1, map[int64]int{1<<20 - 1: 2}},
	{"not by blocks", 2<<20 + 16<<10 - 1, map[int64]int{16<<10 - 1: 2, 64<<10 + 1: 32 << 10, 1 << 20: 256 << 10}},
	{"just not small", proto.SmallFileBytes + 1, nil},
	{"small", proto.SmallFileBytes, nil},
	{"one hole", proto.MaxHoleBytes, nil},
	{"one hole and a byte", proto.MaxHoleBytes + 1, nil},
	{"a block after", proto.MaxHoleBytes + 16<<10, map[int64]int{0: 16 << 10}},
}

// make makes the file.
func (s sparse) make(t *testing.T, path string) {
	t.Helper()
	write(t, path, nil)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(s.size); err != nil {
		t.Fatal(err)
	}
	r := rand.NewChaCha8([32]byte{1})
	for offset, n := range s.data {
		b := make([]byte, n)
		_, _ = r.Read(b)
		b[0], b[n-1] = 1, 1
		if _, err := f.WriteAt(b, offset); err != nil {
			t.Fatal(err)
		}
	}
}

// Zeros do not travel to a receiver that takes holes, and take no room there. They travel
// to any other one.
func TestHolesTravel(t *testing.T) {
	t.Parallel()
	for _, s := range sparses {
		for _, holes := range []bool{true, false} {
			for how, prepare := range map[string]func(t *testing.T, to, from string){
				"new": func(*testing.T, string, string) {},
				"unfinished": func(t *testing.T, to, from string) {
					if whole := read(t, from); s.size > 1<<20 {
						cutShort(t, to, from, []byte(whole[:s.size/2]))
					}
				},
			} {
				t.Run(fmt.Sprint(s.name, " ", how, " ", holes), func(t *testing.T) {
					t.Parallel()
					from, to := filepath.Join(t.TempDir(), "f"), t.TempDir()
					s.make(t, from)
					prepare(t, to, from)
					r := run{send: files.SendOptions{Holes: holes}, recv: files.ReceiveOptions{Owner: "alice"}}
					r.transfer(t, to, from)
					r.wantCodes(t, proto.OK, proto.OK)
					got := filepath.Join(to, "f")
					if read(t, got) != read(t, from) {
						t.Error("other content arrived")
					}
					data := int64(0)
					for _, n := range s.data {
						data += int64(n)
					}
					const perRun = 48<<10 + 1000 // up to a block more on each side, and one at the end
					most := data + int64(len(s.data)+1)*perRun
					if s.size <= proto.SmallFileBytes {
						most += s.size
					}
					if holes && r.there > most {
						t.Errorf("%d bytes travelled, want at most %d", r.there, most)
					}
					if !holes && how == "new" && r.there < s.size {
						t.Errorf("%d bytes travelled, want all %d", r.there, s.size)
					}
					info, err := os.Stat(got)
					if err != nil {
						t.Fatal(err)
					}
					if room := info.Sys().(*syscall.Stat_t).Blocks * 512; room > most+s.size/2 && how == "new" && s.size > 1<<20 {
						t.Errorf("it takes %d bytes", room)
					}
				})
			}
		}
	}
}

// An archive has the zeros of holes.
func TestHolesToArchive(t *testing.T) {
	t.Parallel()
	for _, s := range sparses {
		from := filepath.Join(t.TempDir(), "f")
		s.make(t, from)
		var out bytes.Buffer
		r := run{send: files.SendOptions{Holes: true}}
		r.collect(t, archive.Tar, &out, from)
		r.wantCodes(t, proto.OK, proto.OK)
		if !bytes.Contains(out.Bytes(), []byte(read(t, from))) {
			t.Errorf("%s: the archive has other content", s.name)
		}
	}
}

func hole(n int64) []byte { return frame(&wire.Hole{Bytes: n}) }

// A hole is as much of a file as the data that it stands for.
func TestHostileHoles(t *testing.T) {
	t.Parallel()
	const size = proto.SmallFileBytes + 1
	zeros := strings.Repeat("\x00", size)
	end := frame(&wire.End{ID: 1, Digest: sum(zeros)})
	total := frame(&wire.Total{Entries: 1})
	huge := frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1 << 60, Holes: 1 << 60, Now: true})
	small := func(now bool) []byte {
		return frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 5, Digest: sum(zeros[:5]), Now: now})
	}
	for _, tt := range []struct {
		name   string
		o      files.ReceiveOptions
		frames []byte
		want   proto.Code
	}{
		{"a hole", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(size), end, total), proto.OK},
		{"a hole in two", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(1), hole(size-1), end, total), proto.OK},
		{"a hole that is asked for", files.ReceiveOptions{}, join(large0(1, "a", size, false), frame(&wire.From{ID: 1}), hole(size), end, total), proto.OK},
		{"beyond the size", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(size+1), end, total), proto.Protocol},
		{"beyond the size, after data", files.ReceiveOptions{}, join(large0(1, "a", size, true), data("x"), hole(size), end, total), proto.Protocol},
		{"data after the whole hole", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(size), data("x"), end, total), proto.Protocol},
		{"too short", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(size-1), end, total), proto.Integrity},
		{"another digest", files.ReceiveOptions{}, join(large0(1, "a", size, true), hole(size), frame(&wire.End{ID: 1, Digest: sum("x")}), total), proto.Integrity},
		{"of nothing", files.ReceiveOptions{}, hole(1), proto.Protocol},
		{"not asked for", files.ReceiveOptions{}, join(large0(1, "a", size, false), hole(1)), proto.Protocol},
		{"in a small file", files.ReceiveOptions{}, join(small(true), hole(5), total), proto.Protocol},
		{"of a small file that is asked for", files.ReceiveOptions{}, join(small(false), frame(&wire.From{ID: 1}), hole(5), frame(&wire.End{ID: 1, Digest: sum(zeros[:5])}), total), proto.OK},
		{"empty", files.ReceiveOptions{}, join(large0(1, "a", size, true), raw(wire.TypeHole, `{"bytes":0}`)), proto.Protocol},
		{"negative", files.ReceiveOptions{}, join(large0(1, "a", size, true), raw(wire.TypeHole, `{"bytes":-1}`)), proto.Protocol},
		{"too large", files.ReceiveOptions{}, join(large0(1, "a", 1<<30, true), raw(wire.TypeHole, `{"bytes":1048577}`)), proto.Protocol},
		{"counted", files.ReceiveOptions{MaxBytes: size - 1}, join(large0(1, "a", size, true), hole(size), end, total), proto.Space},
		{"holes are counted", files.ReceiveOptions{MaxBytes: 1 << 40}, join(huge, frame(&wire.End{ID: 1, Code: proto.Changed}), total), proto.Space},
		{"in a refused file", files.ReceiveOptions{As: "x"}, join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: size, Now: true}), hole(size), frame(&wire.End{ID: 2, Digest: sum(zeros)}), frame(&wire.Total{Entries: 2})), proto.Unsafe},
		{"beyond a refused file", files.ReceiveOptions{As: "x"}, join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: size, Now: true}), hole(size), hole(1)), proto.Protocol},
		{"in a small refused file", files.ReceiveOptions{As: "x"}, join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: 5, Digest: sum(zeros[:5]), Now: true}), hole(5)), proto.Protocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			to := t.TempDir()
			_, err := lie(t, to, tt.o, tt.frames)
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			if _, serr := os.Stat(filepath.Join(to, "a")); (serr == nil) != (tt.want == proto.OK) {
				t.Errorf("the file is there: %t, with %v", serr == nil, err)
			}
			if tt.o.As != "" {
				return
			}
			_, err = files.ReceiveArchive(t.Context(), archive.Tar, io.Discard, nil, bytes.NewReader(tt.frames), io.Discard, tt.o)
			if got := proto.CodeOf(err); got != tt.want && !strings.HasPrefix(tt.name, "holes are") {
				t.Errorf("an archive: got %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// A file fits on the disk if its data does.
func TestHolesNeedNoRoom(t *testing.T) {
	t.Parallel()
	const size = 1 << 60 // of no disk
	for holes, want := range map[int64]proto.Code{size: proto.Changed, size / 2: proto.Space, 0: proto.Space} {
		e := frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: size, Holes: holes, Now: true})
		_, err := lie(t, t.TempDir(), files.ReceiveOptions{}, join(e, frame(&wire.End{ID: 1, Code: proto.Changed}), frame(&wire.Total{Entries: 1, Failed: 1, Code: proto.Changed})))
		if got := proto.CodeOf(err); got != want {
			t.Errorf("%d bytes in holes: got %v (%v), want %v", holes, got, err, want)
		}
	}
}
