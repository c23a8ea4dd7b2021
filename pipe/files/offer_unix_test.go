//go:build unix

package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// offering runs an Offer of files against one receiver, and returns how both ended.
func offering(t testing.TB, o files.SendOptions, receive func(context.Context, io.Reader, io.Writer) error, names ...string) (sum files.Summary, sent, received error) {
	t.Helper()
	there, in := io.Pipe()
	back, out := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		received = receive(ctx, there, out)
		there.CloseWithError(errOver)
		if _, incomplete := errors.AsType[*files.Incomplete](received); incomplete {
			out.Close() // as Join does
		} else {
			out.CloseWithError(received)
		}
	}()
	sum, sent = files.Offer(ctx, names, back, in, o)
	in.CloseWithError(sent)
	<-done
	back.Close()
	return sum, sent, received
}

// offered makes a folder with files, and returns its path.
func offered(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "backup")
	for _, name := range []string{"a", "db/mon.dump", "db/tue.dump", "db/old/jan.dump", "etc/hosts", "caf\xe9/x", "backup/inner"} {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	return dir
}

// pathsIn lists what is below a folder, folders with a slash.
func pathsIn(t testing.TB, dir string) string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if rel := strings.TrimPrefix(path, dir+"/"); err == nil && path != dir {
			if d.IsDir() {
				rel += "/"
			}
			paths = append(paths, rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(paths, " ")
}

// What a receiver gets for its NAMEs, and nothing else: also of a list and of a sum.
func TestTakeNames(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	alone := filepath.Join(t.TempDir(), "alone")
	write(t, alone, []byte("x"))
	one, both := []string{dir}, []string{dir, alone}
	for _, tt := range []struct {
		offer   []string
		take    string
		want    string // paths
		missing int
	}{
		{one, "backup/a", "backup/ backup/a", 0},
		{one, "a", "backup/ backup/a", 0},
		{one, "db/mon.dump a", "backup/ backup/a backup/db/ backup/db/mon.dump", 0},
		{one, "db/old", "backup/ backup/db/ backup/db/old/ backup/db/old/jan.dump", 0},
		{one, "db/old/ ./db//old backup/db/old", "backup/ backup/db/ backup/db/old/ backup/db/old/jan.dump", 0},
		{one, "db db/old", "backup/ backup/db/ backup/db/mon.dump backup/db/old/ backup/db/old/jan.dump backup/db/tue.dump", 0},
		{one, "caf\xe9", "backup/ backup/caf\xe9/ backup/caf\xe9/x", 0},
		{one, "backup/backup", "backup/ backup/backup/ backup/backup/inner", 0},
		{one, "none", "", 1},
		{one, "db/none/deep", "", 1},
		{one, "a/b", "", 1}, // a is a file
		{one, "A", "", 1},
		{one, "d", "", 1},
		{one, "none a no", "backup/ backup/a", 2},
		{both, "alone", "alone", 0},
		{both, "backup/a alone", "alone backup/ backup/a", 0},
		{both, "a", "", 1}, // not unique, so only paths
	} {
		names, err := files.CheckTakeNames(strings.Fields(tt.take))
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		root := openRoot(t, to)
		reported := 0
		sum, sent, received := offering(t, files.SendOptions{}, func(ctx context.Context, from io.Reader, back io.Writer) error {
			_, err := files.Receive(ctx, root, from, back, files.ReceiveOptions{Take: true, Names: names, Report: func(string, error) { reported++ }})
			return err
		}, tt.offer...)
		code := proto.OK
		if tt.missing > 0 {
			code = proto.IO
		}
		xtest.WantCode(t, tt.take, received, code)
		if got := pathsIn(t, to); got != tt.want || sent != nil || reported != tt.missing || sum.Untaken != (tt.want == "") {
			t.Errorf("%s: got %s, %d reported, and %+v, %v at the sender, want %s and %d", tt.take, got, reported, sum, sent, tt.want, tt.missing)
		}
		var listed []string
		_, sent, received = offering(t, files.SendOptions{}, func(ctx context.Context, from io.Reader, back io.Writer) error {
			show := func(path string, _ int64) error { listed = append(listed, path); return nil }
			return files.ListOffered(ctx, names, from, back, show, nil)
		}, tt.offer...)
		slices.Sort(listed)
		xtest.WantCode(t, "list of "+tt.take, received, code)
		if got := strings.Join(listed, " "); sent != nil || got != proto.EscapeText(tt.want) {
			t.Errorf("list of %s: got %s, %v, want %s", tt.take, got, sent, tt.want)
		}
	}
}

// A sum, and then the files, on one pair of pipes.
func TestSumThenFiles(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	to := t.TempDir()
	root := openRoot(t, to)
	var got files.Sum
	sum, sent, received := offering(t, files.SendOptions{}, func(ctx context.Context, from io.Reader, back io.Writer) (err error) {
		if got, err = files.SumOffered([]string{"db"}, from, back); err != nil {
			return err
		}
		_, err = files.Receive(ctx, root, from, back, files.ReceiveOptions{Take: true, Names: []string{"db"}})
		return err
	}, dir)
	if want := (files.Sum{Name: "backup", Top: 1, Files: 3, Bytes: int64(len("db/mon.dumpdb/tue.dumpdb/old/jan.dump"))}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if sent != nil || received != nil || sum.Files != 3 || sum.Untaken {
		t.Errorf("got %+v, %v and %v, want 3 files", sum, sent, received)
	}
}

// One file of many gets the name of the receiver's choice, without its folders.
func TestTakeAs(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	for name, want := range map[string]proto.Code{"db/old/jan.dump": proto.OK, "db": proto.Unsafe, "none": proto.IO} {
		to := t.TempDir()
		root := openRoot(t, to)
		_, _, err := offering(t, files.SendOptions{}, func(ctx context.Context, from io.Reader, back io.Writer) error {
			_, err := files.Receive(ctx, root, from, back, files.ReceiveOptions{Take: true, Names: []string{name}, As: "mine"})
			return err
		}, dir)
		xtest.WantCode(t, name, err, want)
		if got := pathsIn(t, to); (got == "mine") != (want == proto.OK) || want != proto.OK && got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// An archive of the names, and of one that is missing: it is not finished then.
func TestTakeArchive(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	for name, want := range map[string]proto.Code{"db/old": proto.OK, "none": proto.IO} {
		var out bytes.Buffer
		_, _, err := offering(t, files.SendOptions{}, func(ctx context.Context, from io.Reader, back io.Writer) error {
			_, err := files.ReceiveArchive(ctx, files.Tar, &out, nil, from, back, files.ReceiveOptions{Take: true, Names: []string{name}})
			return err
		}, dir)
		xtest.WantCode(t, name, err, want)
		if got := readTar(out.Bytes()); (out.Len() > 0 && got == nil) != (want == proto.OK) {
			t.Errorf("%s: got a tar of %d bytes with %v", name, out.Len(), got)
		}
	}
}

// Nothing outside of what is offered can be named: not by a path, not through a link.
func TestTakeOutside(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	write(t, filepath.Join(filepath.Dir(dir), "secret"), []byte("secret"))
	if err := errors.Join(os.Symlink("..", filepath.Join(dir, "up")), os.Symlink("../secret", filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"../secret", "backup/../../secret", filepath.Join(filepath.Dir(dir), "secret"), "/etc/passwd", "..", ".", "/",
		"secret", "backup/up/secret", "up/secret", "backup//a", "backup/./a", "./backup/a", "a/", "a\x00", "up", "out", "backup/out",
	} {
		to := t.TempDir()
		root := openRoot(t, to)
		_, sent, _ := offering(t, files.SendOptions{SkipSpecial: true}, func(ctx context.Context, from io.Reader, back io.Writer) error {
			_, err := files.Receive(ctx, root, from, back, files.ReceiveOptions{Take: true, Names: []string{name}})
			return err
		}, dir)
		if got := pathsIn(t, to); got != "" && got != "backup/" || sent != nil {
			t.Errorf("%q: got %q, and %v at the sender", name, got, sent)
		}
	}
}

// What a receiver may not say before a transfer.
func TestTakeLies(t *testing.T) {
	t.Parallel()
	dir := offered(t)
	many := make([]string, proto.MaxTakeNames+1)
	for i := range many {
		many[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	list := frame(&wire.Take{List: wire.ListAll})
	for what, tt := range map[string]struct {
		frames []byte
		want   proto.Code
	}{
		"nothing":        {nil, proto.Truncated},
		"a list":         {list, proto.OK},
		"two lists":      {join(list, list), proto.Protocol},
		"a sum, a list":  {join(frame(&wire.Take{List: wire.ListSum}), list), proto.Protocol},
		"1001 names":     {raw(wire.TypeTake, `{"names":[`+strings.Join(many, ",")+`]}`), proto.Protocol},
		"a huge frame":   {wire.AppendHeader(nil, wire.Header{Type: wire.TypeTake, Bytes: proto.MaxControlFrameBytes + 1}), proto.Protocol},
		"an unknown one": {raw(wire.TypeTake, `{"list":"some"}`), proto.Protocol},
		"an answer":      {frame(&wire.Answer{ID: 1}), proto.Protocol},
		"half a frame":   {list[:len(list)-1], proto.Truncated},
		"take twice":     {join(frame(&wire.Take{Names: []string{"none"}}), frame(&wire.Take{})), proto.Protocol},
	} {
		_, err := files.Offer(t.Context(), []string{dir}, bytes.NewReader(tt.frames), io.Discard, files.SendOptions{})
		xtest.WantCode(t, what, err, tt.want)
	}
}

// A sender that sends what was not asked for, or a list that is none.
func TestOfferLies(t *testing.T) {
	t.Parallel()
	total := func(n int64) []byte { return frame(&wire.Total{Entries: n}) }
	for _, tt := range []struct {
		what   string
		frames []byte
		want   proto.Code
		stored string
	}{
		{"asked for", join(folder(1, "d"), now(2, "d/x", "1"), total(2)), proto.OK, "d/ d/x"},
		{"at the top", join(now(1, "x", "1"), total(1)), proto.OK, "x"},
		{"a path in it", join(folder(1, "x"), now(2, "x/y", "1"), total(2)), proto.OK, "x/ x/y"},
		{"another file", join(folder(1, "d"), now(2, "d/evil", "1"), total(2)), proto.Protocol, "d/"},
		{"another folder", join(folder(1, "d"), folder(2, "d/e"), now(3, "d/e/x", "1"), total(3)), proto.Protocol, "d/"},
		{"another top", join(folder(1, "d"), now(2, "d/x", "1"), folder(3, "e"), now(4, "e/x", "1"), total(4)), proto.Protocol, "d/ d/x"},
		{"a file in place of the folder", join(now(1, "d", "1"), total(1)), proto.Protocol, ""},
		{"a link in place of the folder", join(frame(&wire.Entry{ID: 1, Path: "d", Kind: wire.EntrySymlink, Target: "x"}), total(1)), proto.Protocol, ""},
		{"a name that begins so", join(folder(1, "d"), now(2, "d/xx", "1"), total(2)), proto.Protocol, "d/"},
		{"up and down", join(folder(1, "d"), now(2, "d/../x", "1"), total(2)), proto.Protocol, "d/"},
		{"deep", now(1, strings.Repeat("d/", 2000)+"x", "1"), proto.Protocol, ""},
		{"from the root", join(now(1, "/x", "1"), total(1)), proto.Unsafe, ""},
		{"nothing", total(0), proto.IO, ""},
	} {
		to := t.TempDir()
		_, err := lie(t, to, files.ReceiveOptions{Take: true, Names: []string{"x"}}, tt.frames)
		xtest.WantCode(t, tt.what, err, tt.want)
		if got := pathsIn(t, to); got != tt.stored {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.stored)
		}
	}
	listed := func(path string) []byte { return frame(&wire.Listed{Path: path, Kind: wire.EntryFile}) }
	for what, tt := range map[string]struct {
		frames []byte
		want   proto.Code
	}{
		"a list":               {join(listed("x"), total(1)), proto.OK},
		"not asked for":        {join(listed("y"), total(1)), proto.Protocol},
		"a wrong total":        {join(listed("x"), total(2)), proto.Protocol},
		"no end":               {listed("x"), proto.Truncated},
		"an entry":             {now(1, "x", "1"), proto.Protocol},
		"what cannot be read":  {join(listed("x"), frame(&wire.Total{Entries: 1, Failed: 1, Code: proto.IO})), proto.IO},
		"a terminal's control": {join(listed("x"), listed("x/\x1b[2J"), total(2)), proto.OK},
	} {
		err := files.ListOffered(t.Context(), []string{"x"}, bytes.NewReader(tt.frames), io.Discard, func(path string, _ int64) error {
			if strings.Contains(path, "\x1b") {
				t.Errorf("%s: %q is shown", what, path)
			}
			return nil
		}, nil)
		xtest.WantCode(t, what, err, tt.want)
	}
	for what, tt := range map[string]struct {
		frames []byte
		want   proto.Code
	}{
		"a sum":         {frame(&wire.Sum{Path: "x", Top: 1}), proto.OK},
		"in one folder": {frame(&wire.Sum{Path: "d", Top: 1}), proto.OK},
		"more":          {join(frame(&wire.Sum{Path: "x", Top: 1}), total(0)), proto.Protocol},
		"a list":        {listed("x"), proto.Protocol},
		"negative":      {raw(wire.TypeSum, `{"path":"x","top":1,"bytes":-1}`), proto.Protocol},
	} {
		_, err := files.SumOffered([]string{"x"}, bytes.NewReader(tt.frames), io.Discard)
		xtest.WantCode(t, what, err, tt.want)
	}
}

// endless is a list without an end.
type endless struct{ frame, rest []byte }

func (r *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.rest) == 0 {
			r.rest = r.frame
		}
		c := copy(p[n:], r.rest)
		n, r.rest = n+c, r.rest[c:]
	}
	return n, nil
}

// A list that never ends is left, with the reason.
func TestEndlessList(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	shown := 0
	r := &endless{frame: frame(&wire.Listed{Path: "x", Kind: wire.EntryFile})}
	err := files.ListOffered(t.Context(), nil, r, io.Discard, func(string, int64) error { shown++; return nil }, nil)
	xtest.WantCode(t, "an endless list", err, proto.Protocol)
	if err == nil || !strings.Contains(err.Error(), "lists more than") || shown != proto.MaxListed {
		t.Errorf("got %v after %d entries", err, shown)
	}
}

// What is known of files before the first answer.
func TestAnnounced(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		frames []byte
		want   files.Sum
	}{
		"nothing":     {nil, files.Sum{More: true}},
		"a file":      {now(1, "a\x1b", "text"), files.Sum{Name: `a\x1b`, Top: 1, Bytes: 4, More: true}},
		"a folder":    {folder(1, "d"), files.Sum{Name: "d", Folder: true, Top: 1, More: true}},
		"large files": {join(large0(1, "a", 1<<40, false), large0(2, "b", 1<<40, false)), files.Sum{Name: "a", Top: 2, Bytes: 1 << 41, More: true}},
		"a fault":     {raw(wire.TypeEntry, "{}"), files.Sum{More: true}},
		"too much":    {join(large0(1, "a", 1<<62, false), large0(2, "b", 1<<62, false), large0(3, "c", 1<<62, false)), files.Sum{Name: "a", Top: 3, Bytes: proto.MaxTransferBytes, More: true}},
	} {
		got, r := files.Announced(bytes.NewReader(tt.frames))
		if rest, err := io.ReadAll(r); got != tt.want || !bytes.Equal(rest, tt.frames) {
			t.Errorf("%s: got %+v, %d bytes behind it (%v), want %+v, %d", what, got, len(rest), err, tt.want, len(tt.frames))
		}
	}
}

// FuzzOffer gives an Offer any bytes of a receiver. It ends with a code, and sends nothing
// from outside.
func FuzzOffer(f *testing.F) {
	dir := offered(f)
	write(f, filepath.Join(filepath.Dir(dir), "secret"), []byte("secret"))
	f.Add(join(frame(&wire.Take{List: wire.ListSum}), frame(&wire.Take{Names: []string{"db"}}), frame(&wire.Answer{ID: 1}), frame(&wire.Stored{})))
	f.Add(frame(&wire.Take{Names: []string{"../secret", "a"}, List: wire.ListAll}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var sent bytes.Buffer
		_, err := files.Offer(context.Background(), []string{dir}, bytes.NewReader(b), &sent, files.SendOptions{})
		if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
			t.Errorf("got %v (%v), want a code that says more", code, err)
		}
		if bytes.Contains(sent.Bytes(), []byte("secret")) {
			t.Error("what is outside was sent")
		}
	})
}

// FuzzTake gives a receiver with NAMEs any bytes: it stores nothing else.
func FuzzTake(f *testing.F) {
	f.Add(join(folder(1, "d"), now(2, "d/x", "1"), frame(&wire.Total{Entries: 2})))
	f.Add(join(frame(&wire.Listed{Path: "d", Kind: wire.EntryFolder}), frame(&wire.Total{Entries: 1})))
	f.Add(frame(&wire.Sum{Path: "d", Top: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		_, err := lieFrom(t, dir, files.ReceiveOptions{Take: true, Names: []string{"x"}, MaxBytes: 1 << 20}, bytes.NewReader(b))
		_, sumErr := files.SumOffered([]string{"x"}, bytes.NewReader(b), io.Discard)
		listErr := files.ListOffered(t.Context(), []string{"x"}, bytes.NewReader(b), io.Discard, func(string, int64) error { return nil }, nil)
		for _, err := range []error{err, sumErr, listErr} {
			if code := proto.CodeOf(err); code == proto.Failed || code == proto.Internal {
				t.Errorf("got %v (%v), want a code that says more", code, err)
			}
		}
		for name := range strings.FieldsSeq(pathsIn(t, dir)) {
			if !strings.HasSuffix(name, "/") && !strings.HasPrefix(filepath.Base(name), ".mesh-") && name != "x" && !strings.HasPrefix(name, "x/") {
				if _, rest, _ := strings.Cut(name, "/"); rest != "x" && !strings.HasPrefix(rest, "x/") {
					t.Errorf("%s is stored", name)
				}
			}
		}
	})
}
