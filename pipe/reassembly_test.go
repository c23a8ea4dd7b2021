package pipe_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/xtest"
)

const blockBytes = proto.MaxChunkBytes

// put stores data at its offset as a chunk is stored, and returns how many bytes of it
// were present already.
func put(t *testing.T, a *pipe.Reassembly, data []byte, offset int64) (skipped int) {
	t.Helper()
	for len(data) > 0 {
		room, skip, err := a.Claim(offset, len(data))
		if err != nil {
			t.Fatal(err)
		}
		n := skip
		if skip == 0 {
			n = copy(room, data)
			a.Commit(offset, n)
		}
		skipped += skip
		data, offset = data[n:], offset+int64(n)
	}
	return skipped
}

// Pieces of every size, in every order and some of them twice, come out as the whole.
// Only the blocks between the first gap and the last piece are held.
func TestReassembly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(2, seed))
		want := xtest.Random(1 + r.IntN(4*blockBytes))
		var a pipe.Reassembly
		var cuts []int
		for at := 0; at < len(want); at += 1 + r.IntN(blockBytes) {
			cuts = append(cuts, at)
		}
		var got []byte
		for _, i := range append(r.Perm(len(cuts)), r.Perm(len(cuts))...) {
			from, to := cuts[i], len(want)
			if i+1 < len(cuts) {
				to = min(cuts[i+1]+r.IntN(2)*r.IntN(blockBytes), len(want)) // sometimes overlapping the next pieces
			}
			put(t, &a, want[from:to], int64(from))
			for int64(len(got)) < a.End() {
				got = append(got, a.BytesAt(int64(len(got)))...)
				a.ReleaseBefore(int64(len(got)))
			}
			if err := a.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if !bytes.Equal(got, want) || a.Highest() != int64(len(want)) {
			t.Errorf("seed %d: got %d bytes up to %d, want the %d that were put", seed, len(got), a.Highest(), len(want))
		}
		if n := a.Blocks(); n > 5 {
			t.Errorf("seed %d: %d blocks are held, want at most 5", seed, n)
		}
	}
}

func TestReassemblyClaims(t *testing.T) {
	t.Parallel()
	var a pipe.Reassembly
	room, _, err := a.Claim(10, 20)
	if err != nil || len(room) != 20 {
		t.Fatalf("got room for %d bytes (%v), want 20", len(room), err)
	}
	if room, skip, err := a.Claim(10, 20); room != nil || skip != 0 || err != nil {
		t.Errorf("claimed bytes: got room for %d bytes, %d to skip (%v), want neither", len(room), skip, err)
	}
	if room, _, _ := a.Claim(0, 30); len(room) != 10 {
		t.Errorf("before the claimed bytes: got room for %d bytes, want 10", len(room))
	}
	a.Commit(10, 5) // the link broke after 5 bytes
	a.Commit(0, 10)
	if got := a.End(); got != 15 {
		t.Errorf("got %d bytes in order, want 15", got)
	}
	if room, _, _ := a.Claim(15, 15); len(room) != 15 {
		t.Errorf("got room for %d of the missing bytes, want 15", len(room))
	}
	a.Commit(15, 0)
	if got := a.Highest(); got != 15 {
		t.Errorf("got bytes up to %d, want 15", got)
	}
	if err := a.Check(); err != nil {
		t.Error(err)
	}
}

// A sender of single bytes with gaps between them is cut off after a few.
func TestReassemblyPieces(t *testing.T) {
	t.Parallel()
	var a pipe.Reassembly
	for i := range int64(proto.MaxPieces) {
		put(t, &a, []byte{1}, 2*i)
	}
	if _, _, err := a.Claim(2*proto.MaxPieces, 1); proto.CodeOf(err) != proto.Protocol {
		t.Errorf("got %v, want %v", err, proto.Protocol)
	}
	if _, _, err := a.Claim(blockBytes, 1); err != nil {
		t.Errorf("in another block: got %v, want none", err)
	}
}
