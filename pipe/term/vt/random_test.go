package vt

import (
	"bufio"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// differing is the tokens that [TestRandomAsXterm] leaves out: this package differs in
// their effect on purpose (see testdata/README.md), or xterm.js does not show the effect,
// as for the style of links.
var differing = []string{
	"e\u0301", "\u0301", "\u200d", "\U0001f468\u200d\U0001f469", "\x9c", "\xff", "\xe6\x97", "\u0085", "\u009b", "\u0090", "\u009d",
	"\x1b#8", "\x1bc", "\x1b['}", "\x1b['~", "\x1b[T", "\x1b[99999999b", "\x1b]8;id=1;http://h/\x1b\\", "\x1b[1\"q", "\x1b_", "\x1b^x", "~",
}

// apart is pairs of token sets. It leaves out one set of each pair, since the two
// together have a differing effect.
var apart = [][2][]string{
	{ // DECRC, and state that it restores differently
		{"\x1b8", "\x1b[u", "\x1b[?1048l", "\x1b[?1049l"},
		{"\n", "\r\n", "\x1bD", "\x1bE", "\x1b[S", "\x1b[2S", "\x1b(0", "\x1b(A", "\x1b)0", "\x1b*0", "\x1bn", "\x1bo", "\x1b[?6h", "\x1b[?47h", "\x1b[?1047h", "\x1b[?1049h", "\x1b[4:3m", "hello", "0123456789", "\x1b[99;99H", "\x1b[4;7H"},
	},
	{ // tab stops, which xterm.js has per screen
		{"\x1bH", "\x1b[g", "\x1b[3g"},
		{"\x1b[?47h", "\x1b[?1047h", "\x1b[?1049h"},
	},
	{ // half a wide character
		{"\u65e5", "\u672c\u8a9e", "\U0001f600"},
		{"\x1b[@", "\x1b[2@", "\x1b[P", "\x1b[3P", "\x1b[X", "\x1b[4X", "\x1b[4h", "\x1b[ @", "\x1b[ A", "\x1b[?7l", "\x1b[b", "\x1b[3b"},
	},
	{ // margins of another screen
		{"\x1b[?6h"},
		{"\x1b[?47l", "\x1b[?1047l", "\x1b[?1049l"},
	},
	{ // movements in origin mode
		{"\x1b[?6h"},
		{"\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3C", "\x1b[5G", "\x1b[E", "\x1b[F", "\x1b[1;2"},
	},
}

// xterm is xterm.js in a process of its own, with a terminal of 12 by 6.
type xterm struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// newXterm starts node with a script, scripts/internal/goldens/golden.js.
func newXterm(t *testing.T, script string) *xterm {
	t.Helper()
	cmd := exec.Command("node", script, "--lines")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
	})
	return &xterm{t, in, bufio.NewReader(out)}
}

// differs returns the difference between this terminal and xterm.js for a stream. Streams
// on which xterm.js itself fails are not compared.
func (x *xterm) differs(stream []string) []string {
	x.t.Helper()
	text := strings.Join(stream, "")
	line, err := json.Marshal(text)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.in.Write(append(line, '\n')); err != nil {
		x.t.Fatal(err)
	}
	if line, err = x.out.ReadBytes('\n'); err != nil {
		x.t.Fatal(err)
	}
	var want *golden
	if err := json.Unmarshal(line, &want); err != nil {
		x.t.Fatal(err)
	}
	if want == nil {
		return nil
	}
	term := New(12, 6, 50)
	_, _ = term.Write([]byte(text))
	return compare(goldenOf(term, len(text)), *want)
}

// smallest removes from a stream all tokens that the difference does not need.
func (x *xterm) smallest(stream []string) []string {
	for n := len(stream) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(stream); {
			if less := slices.Delete(slices.Clone(stream), i, i+n); x.differs(less) != nil {
				stream = less
			} else {
				i += n
			}
		}
	}
	return stream
}

// TestRandomAsXterm writes random streams to this terminal and to xterm.js. It needs node
// and runs from scripts/goldens. GOLDENS_RANDOM is the number of streams, GOLDENS_SEED,
// if set, the seed.
func TestRandomAsXterm(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("GOLDENS_RANDOM"))
	if n == 0 {
		t.Skip("runs from scripts/goldens --random")
	}
	seed, err := strconv.ParseUint(os.Getenv("GOLDENS_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("GOLDENS_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	x := newXterm(t, os.Getenv("GOLDENS_SCRIPT"))
	const most = 10 // differences to show
	failed := 0
	for i := range n {
		out := slices.Clone(differing)
		for _, sets := range apart {
			out = append(out, sets[random.IntN(2)]...)
		}
		same := slices.DeleteFunc(slices.Clone(tokens), func(s string) bool { return slices.Contains(out, s) })
		stream := make([]string, 1+random.IntN(60))
		for i := range stream {
			stream[i] = same[random.IntN(len(same))]
		}
		if x.differs(stream) == nil {
			continue
		}
		stream = x.smallest(stream)
		t.Errorf("stream %d: %+q, %s", i, strings.Join(stream, ""), x.differs(stream)[0])
		if failed++; failed == most {
			t.Fatal("and so on")
		}
	}
}
