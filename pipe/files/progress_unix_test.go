//go:build unix

package files_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/pipe/files/exclude"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A sender's progress ends with all bytes done, whether they are sent or there already, and
// without those of what is excluded.
func TestProgress(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for name, size := range map[string]int{"empty": 0, "small": 1000, "sub/large": 3 << 20, "sub/other": 100_000, "x.log": 5000} {
		if err := os.WriteFile(filepath.Join(from, name), xtest.Random(size), 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".log" {
			want += int64(size)
		}
	}
	list := new(exclude.List)
	if err := list.Add("*.log", "test"); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"sent", "there already", "sent by an older sender", "to an archive"} {
		p, got := new(files.Progress), new(files.Progress)
		r := run{send: files.SendOptions{Progress: p, Exclude: list}, recv: files.ReceiveOptions{Progress: got, Counts: what != "sent by an older sender", Owner: "alice"}}
		switch what {
		case "to an archive":
			r.collect(t, files.Tar, io.Discard, from)
		case "sent by an older sender":
			r.transfer(t, t.TempDir(), from)
		default:
			r.transfer(t, to, from)
		}
		if r.sendErr != nil || r.recvErr != nil {
			t.Fatalf("%s: %v, %v", what, r.sendErr, r.recvErr)
		}
		if r.sent.Excluded != 1 {
			t.Errorf("%s: got %d excluded, want 1", what, r.sent.Excluded)
		}
		if done := p.Done.Load(); done != want || p.Known.Load() && p.Total.Load() != want {
			t.Errorf("%s: got %d of %d bytes (known: %v), want %d", what, done, p.Total.Load(), p.Known.Load(), want)
		}
		if done, total := got.Done.Load(), got.Total.Load(); done != want || total != want || !got.Known.Load() {
			t.Errorf("%s: the receiver got %d of %d bytes (known: %v), want %d", what, done, total, got.Known.Load(), want)
		}
	}
}

// The bytes of refused files count as done at both ends.
func TestProgressRefused(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
	for i, dir := range []string{from, filepath.Join(to, "d")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, size := range map[string]int{"small": 1000, "large": 300_000} {
			content := bytes.Repeat([]byte{byte(i)}, size)
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, got := new(files.Progress), new(files.Progress)
	r := run{send: files.SendOptions{Progress: p}, recv: files.ReceiveOptions{Progress: got, Counts: true}}
	r.transfer(t, to, from)
	if r.received.Refused != 2 {
		t.Fatalf("got %+v (%v), want 2 refused", r.received, r.recvErr)
	}
	const want = 301_000
	if p.Done.Load() != want || got.Done.Load() != want || got.Total.Load() != want {
		t.Errorf("sent %d, received %d of %d, want %d", p.Done.Load(), got.Done.Load(), got.Total.Load(), want)
	}
}

// A sender that is asked tells the sum of all files once, also in the middle of one;
// it sends nothing to a receiver that has not asked.
func TestCount(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	name := filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, size)); err != nil {
		t.Fatal(err)
	}
	for _, asks := range []bool{false, true} {
		p := new(files.Progress)
		entries, to := io.Pipe()
		from, answers := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := files.Send(t.Context(), []string{name}, from, to, files.SendOptions{Progress: p})
			done <- err
		}()
		told, bytes := []int64(nil), 0
		for ended := false; !ended; {
			typ, body, err := wire.ReadFrame(entries, wire.TypeEntry, wire.TypeFrom, wire.TypeData, wire.TypeEnd, wire.TypeTotal, wire.TypeCount)
			if err != nil {
				t.Fatal(err)
			}
			var reply wire.Message
			switch typ {
			case wire.TypeEntry:
				reply = &wire.Answer{ID: 1, Count: asks}
			case wire.TypeData:
				for !p.Known.Load() { // the sender waits for the pipe meanwhile
					runtime.Gosched()
				}
				bytes += len(body)
			case wire.TypeCount:
				var m wire.Count
				if err := wire.ParseBody(body, &m); err != nil {
					t.Fatal(err)
				}
				if told = append(told, m.Bytes); bytes == size {
					t.Errorf("the sum comes behind all data")
				}
			case wire.TypeTotal:
				reply, ended = &wire.Stored{Files: 1}, true
			}
			if reply != nil {
				if _, err := answers.Write(frame(reply)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if want := []int64{size}; !asks && told != nil || asks && !slices.Equal(told, want) {
			t.Errorf("asked %v: got %d, want %d if asked", asks, told, want)
		}
		_ = answers.Close()
		if err := <-done; err != nil {
			t.Errorf("asked %v: got %v", asks, err)
		}
	}
}

// A sum that was not asked for, a second one and one behind the end break the protocol; a
// wrong one is only shown.
func TestCountLies(t *testing.T) {
	t.Parallel()
	count, total := frame(&wire.Count{Bytes: 1 << 62}), frame(&wire.Total{Entries: 2})
	for _, tt := range []struct {
		what   string
		asks   bool
		frames [][]byte
		want   proto.Code
	}{
		{"wrong", true, [][]byte{folder(1, "d"), count, now(2, "d/a", "x"), total}, proto.OK},
		{"within a small file", true, [][]byte{folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/a", Kind: wire.EntryFile, Size: 1, Mode: 0o644, Digest: sum("x"), Now: true}), count, data("x"), total}, proto.OK},
		{"not asked for", false, [][]byte{folder(1, "d"), count, now(2, "d/a", "x"), total}, proto.Protocol},
		{"before the first answer", true, [][]byte{count, folder(1, "d"), now(2, "d/a", "x"), total}, proto.Protocol},
		{"twice", true, [][]byte{folder(1, "d"), count, count, now(2, "d/a", "x"), total}, proto.Protocol},
		{"twice, later", true, [][]byte{folder(1, "d"), count, now(2, "d/a", "x"), count, total}, proto.Protocol},
		{"behind the end", true, [][]byte{folder(1, "d"), now(2, "d/a", "x"), total, count}, proto.OK}, // all is stored by then
		{"not in its form", true, [][]byte{folder(1, "d"), raw(wire.TypeCount, `{"bytes":-1}`), now(2, "d/a", "x"), total}, proto.Protocol},
	} {
		for _, archive := range []bool{false, true} {
			o := files.ReceiveOptions{Progress: new(files.Progress), Counts: tt.asks}
			var err error
			if archive {
				_, err = files.ReceiveArchive(t.Context(), files.Tar, io.Discard, nil, bytes.NewReader(join(tt.frames...)), io.Discard, o)
			} else {
				_, err = lie(t, t.TempDir(), o, tt.frames...)
			}
			if err = files.Outcome(err); proto.CodeOf(err) != tt.want {
				t.Errorf("%s, archive %v: got %v, want %v", tt.what, archive, err, tt.want)
			}
		}
	}
}

// A receiver that has taken the sum answers what came before it, also if nothing has come
// behind it: the sender waits for that.
func TestCountThenAnswer(t *testing.T) {
	t.Parallel()
	frames, to := io.Pipe()
	from, answers := io.Pipe()
	o := files.ReceiveOptions{Progress: new(files.Progress), Counts: true}
	root := openRoot(t, t.TempDir())
	defer time.AfterFunc(30*time.Second, func() { _ = from.CloseWithError(errors.New("no answer")) }).Stop()
	done := make(chan error, 1)
	go func() {
		_, err := files.Receive(t.Context(), root, frames, answers, o)
		done <- errors.Join(err, answers.Close())
	}()
	file := func(id int64, name string) []byte {
		return frame(&wire.Entry{ID: id, Path: name, Kind: wire.EntryFile, Size: 300_000, Mode: 0o644})
	}
	for i, together := range [][]byte{file(1, "a"), join(file(2, "b"), frame(&wire.Count{Bytes: 600_000}))} {
		if _, err := to.Write(together); err != nil {
			t.Fatal(err)
		}
		var a wire.Answer
		_, body, err := wire.ReadFrame(from, wire.TypeAnswer)
		if err == nil {
			err = wire.ParseBody(body, &a)
		}
		if err != nil || a.ID != int64(i+1) || a.Count != (i == 0) {
			t.Fatalf("got answer %+v (%v), want that to %d", a, err, i+1)
		}
	}
	_ = to.Close()
	xtest.WantCode(t, "receiver", files.Outcome(<-done), proto.Truncated)
}
