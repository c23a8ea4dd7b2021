package vt

import (
	"math/rand/v2"
	"testing"
)

// TestCuts joins each recorded stream late at many places: a terminal that got a snapshot
// there must show, at once, a little later and at the end, what the first one shows.
func TestCuts(t *testing.T) {
	t.Parallel()
	each := 120
	if testing.Short() {
		each = 10
	}
	for _, r := range corpus(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(len(r.stream)), 7))
			uncut := New(r.cols, r.rows, 100)
			_, _ = uncut.Write(r.stream)
			end := dump(uncut)
			for range each {
				at := random.IntN(len(r.stream) + 1)
				soon := min(at+random.IntN(600), len(r.stream))
				whole := New(r.cols, r.rows, 100)
				_, _ = whole.Write(r.stream[:at])
				late := restored(whole, New(r.cols, r.rows, 100))
				same(t, "at once", at, dump(late), dump(whole))
				_, _ = whole.Write(r.stream[at:soon])
				_, _ = late.Write(r.stream[at:soon])
				same(t, "soon", at, dump(late), dump(whole))
				_, _ = late.Write(r.stream[soon:])
				same(t, "at the end", at, dump(late), end)
			}
		})
	}
}

func same(t *testing.T, when string, at int, got, want string) {
	t.Helper()
	if d := firstDifference(got, want); d != "" {
		t.Errorf("cut at %d, %s: %s", at, when, d)
	}
}

// TestCutsBetweenAllBytes is TestCuts at every byte of the small streams.
func TestCutsBetweenAllBytes(t *testing.T) {
	t.Parallel()
	cases, _ := readCases(t)
	for _, stream := range cases {
		for at := range len(stream) + 1 {
			cut(t, []byte(stream), at, 12, 6, New(12, 6, 20))
		}
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	for _, r := range corpus(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			whole := New(r.cols, r.rows, 100)
			_, _ = whole.Write(r.stream)
			want := dump(whole)
			for _, size := range []int{1, 2, 3, 7, 64, 4096} {
				term := New(r.cols, r.rows, 100)
				for rest := r.stream; len(rest) > 0; {
					n := min(size, len(rest))
					_, _ = term.Write(rest[:n])
					rest = rest[n:]
				}
				if d := firstDifference(dump(term), want); d != "" {
					t.Errorf("chunks of %d: %s", size, d)
				}
			}
		})
	}
}
