//go:build unix

package files_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// Both ends count the bytes of the files that are stored: not what was there already, what
// is refused, a hole, or another name of a file. An older receiver says no number, and an
// older sender gets none.
func TestStoredBytes(t *testing.T) {
	t.Parallel()
	for _, minor1 := range []bool{true, false} {
		tree, _ := linkedTree(t) // in a new folder: small, alone, bigData
		source, to := filepath.Dir(tree), t.TempDir()
		there, refused, sparse := filepath.Join(source, "there"), filepath.Join(source, "refused"), filepath.Join(source, "sparse")
		write(t, there, []byte("there"))
		write(t, refused, []byte("refused"))
		f, err := os.Create(sparse)
		if err == nil {
			_, err = f.WriteAt([]byte("end"), 1<<20)
			err = firstErr(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, "refused"), []byte("other"))
		var before run
		before.recv.Owner = "alice"
		before.transfer(t, to, there)
		r := run{send: files.SendOptions{Links: minor1, Holes: minor1}, recv: files.ReceiveOptions{Owner: "alice", Minor1: minor1}}
		r.transfer(t, to, tree, there, refused, sparse)
		r.wantCodes(t, proto.Unsafe, proto.Unsafe)
		data := int64(1<<20 + 3)
		if info, err := os.Stat(sparse); err == nil && minor1 {
			data -= files.HoleBytes(info)
		}
		want := int64(len("small")+len("alone")+len(bigData)) + data
		if !minor1 {
			want += int64(3*len("small") + 2*len(bigData))
		}
		if r.sent.Bytes != want || r.received.Bytes != want || r.sent.Skipped != 1 {
			t.Errorf("minor version 1 %t: got %+v and %+v, want %d bytes", minor1, r.sent, r.received, want)
		}
		again := run{send: r.send, recv: r.recv}
		again.transfer(t, to, tree, there, sparse)
		again.wantCodes(t, proto.OK, proto.OK)
		if again.sent.Bytes != 0 || again.received.Bytes != 0 || again.sent.Files != 0 {
			t.Errorf("again: got %+v and %+v, want no bytes", again.sent, again.received)
		}
	}
}

// A receiver that says that it has stored more bytes than were announced lies.
func TestTooManyStoredBytes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a")
	write(t, file, []byte("four"))
	for n, want := range map[int64]proto.Code{4: proto.OK, 5: proto.Protocol, proto.MaxTransferBytes: proto.Protocol} {
		_, err := sendTo(t, []string{file}, func(*wire.Entry) *wire.Answer { return &wire.Answer{ID: 1} }, &wire.Stored{Files: 1, Bytes: n})
		if got := proto.CodeOf(err); got != want {
			t.Errorf("%d bytes: got %v (%v), want %v", n, got, err, want)
		}
	}
}

// A sender hears when its receiver has answered first, once, and before it sends data.
func TestBegun(t *testing.T) {
	t.Parallel()
	tree, _ := linkedTree(t)
	begun := 0
	r := run{}
	var sent int64
	r.send.Begun = func() { begun, sent = begun+1, r.there }
	r.transfer(t, t.TempDir(), tree)
	r.wantCodes(t, proto.OK, proto.OK)
	if begun != 1 || sent > 1000 {
		t.Errorf("it has begun %d times, after %d bytes", begun, sent)
	}
	asked := false
	sum, there, got := offering(t, files.SendOptions{Begun: func() {
		if !asked {
			t.Error("it has begun before the receiver's user was asked")
		}
	}}, func(ctx context.Context, from io.Reader, to io.Writer) error {
		if _, err := files.SumOffered(nil, from, to); err != nil {
			return err
		}
		asked = true
		_, err := files.Receive(ctx, openRoot(t, t.TempDir()), from, to, files.ReceiveOptions{Take: true})
		return err
	}, tree)
	if there != nil || got != nil || sum.Files != 10 {
		t.Errorf("got %+v, %v and %v", sum, there, got)
	}
}

// The sum that a receiver's user is asked about has neither the holes nor the other names
// of a file, if its end takes both.
func TestSumOfData(t *testing.T) {
	t.Parallel()
	tree, _ := linkedTree(t)
	sparse := filepath.Join(tree, "sparse")
	write(t, sparse, nil)
	if err := os.Truncate(sparse, 1<<30); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(sparse)
	if err != nil {
		t.Fatal(err)
	}
	once := int64(len("small") + len("alone") + len(bigData))
	for minor1, want := range map[bool]int64{
		true:  once + 1<<30 - files.HoleBytes(info),
		false: once + 1<<30 + int64(3*len("small")+2*len(bigData)),
	} {
		var got files.Sum
		_, _, _ = offering(t, files.SendOptions{Holes: minor1, Links: minor1}, func(_ context.Context, from io.Reader, to io.Writer) (err error) {
			got, err = files.SumOffered(nil, from, to)
			return err
		}, tree)
		if got.Bytes != want || got.Files != 11 {
			t.Errorf("minor version 1 %t: got %+v, want %d bytes in 11 files", minor1, got, want)
		}
	}
	e := frame(&wire.Entry{ID: 1, Path: "a", Kind: wire.EntryFile, Size: 1 << 30, Holes: 1<<30 - 4096, Mode: 0o600})
	if got, _ := files.Announced(bytes.NewReader(e)); got.Bytes != 4096 {
		t.Errorf("announced: got %+v, want 4096 bytes", got)
	}
}
