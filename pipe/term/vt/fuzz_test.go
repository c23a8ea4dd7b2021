package vt

import (
	"math/rand/v2"
	"testing"
)

// tokens is the vocabulary of the grammar-based tests: each byte of their input selects
// one.
var tokens = []string{
	"a", "b", "hello", "\u65e5", "\u672c\u8a9e", "e\u0301", "\u0301", "\u200d", "\U0001f600", "\U0001f468\u200d\U0001f469", "q", "x", "~", " ",
	"\r", "\n", "\r\n", "\t", "\b", "\x0e", "\x0f", "\x7f", "\x18", "\x1a", "\x1b", "\x1b\\", "\x07", "\x9c", "\xff", "\xe6\x97", "\u0085", "\u009b", "\u0090", "\u009d",
	"\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3C", "\x1b[H", "\x1b[2;3H", "\x1b[4;7H", "\x1b[99;99H", "\x1b[1;7H", "\x1b[5G", "\x1b[3d", "\x1b[E", "\x1b[F",
	"\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[3J", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[?K", "\x1b[?J", "\x1b[1\"q", "\x1b[\"q",
	"\x1b[@", "\x1b[2@", "\x1b[P", "\x1b[3P", "\x1b[L", "\x1b[M", "\x1b[2L", "\x1b[2M", "\x1b[X", "\x1b[4X", "\x1b[S", "\x1b[T", "\x1b[2S", "\x1b[b", "\x1b[3b", "\x1b[99999999b",
	"\x1b[m", "\x1b[1m", "\x1b[31m", "\x1b[44m", "\x1b[7m", "\x1b[38;5;200m", "\x1b[48;2;1;2;3m", "\x1b[38:2::9:8:7m", "\x1b[4:3m", "\x1b[58:5:9m", "\x1b[0;95;103m", "\x1b[53;9m",
	"\x1b[r", "\x1b[2;4r", "\x1b[3;5r", "\x1b[?6h", "\x1b[?6l", "\x1b[?7h", "\x1b[?7l", "\x1b[4h", "\x1b[4l", "\x1b[20h", "\x1b[20l",
	"\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1bD", "\x1bE", "\x1bM", "\x1bH", "\x1b[g", "\x1b[3g", "\x1b[I", "\x1b[Z", "\x1bc", "\x1b[!p", "\x1b#8",
	"\x1b[?1049h", "\x1b[?1049l", "\x1b[?47h", "\x1b[?47l", "\x1b[?1048h", "\x1b[?1048l", "\x1b[?1047h", "\x1b[?1047l",
	"\x1b(0", "\x1b(B", "\x1b)0", "\x1b(A", "\x1b*0", "\x1bn", "\x1bo",
	"\x1b[?1h", "\x1b[?1l", "\x1b=", "\x1b>", "\x1b[?25l", "\x1b[?25h", "\x1b[?1000h", "\x1b[?1003h", "\x1b[?1000l", "\x1b[?1006h", "\x1b[?2004h", "\x1b[?2004l", "\x1b[?2026h", "\x1b[?1004h", "\x1b[3 q", "\x1b[?5h",
	"\x1b[>1u", "\x1b[=3;2u", "\x1b[<u", "\x1b[>4;2m", "\x1b[>4m",
	"\x1b]0;title\x07", "\x1b]2;t2\x1b\\", "\x1b[22t", "\x1b[23t", "\x1b]8;id=1;http://h/\x1b\\", "\x1b]8;;\x1b\\", "\x1b]4;1;rgb:1/2/3\x07", "\x1b]104\x07", "\x1b]11;#123456\x07", "\x1b]111\x07", "\x1b]7;file:///\x07",
	"\x1b]", "\x1b[", "\x1bP", "\x1b[?", "1", ";", ":", "5", "$q", "\x1b_", "\x1b^x", "\x1b[1;2", "\x1b[38;5", "!", "#",
	"\x1b[ @", "\x1b[ A", "\x1b['}", "\x1b['~", "0123456789", "\x1b[6n", "\x1b[c",
}

func sentence(choices []byte) []byte {
	var b []byte
	for _, c := range choices {
		b = append(b, tokens[int(c)%len(tokens)]...)
	}
	return b
}

// restored returns a terminal that got a snapshot of t and its pending bytes.
func restored(t *Terminal, onto *Terminal) *Terminal {
	_, _ = onto.Write(t.Snapshot(MaxScrollback))
	_, _ = onto.Write(t.Pending())
	return onto
}

// cut writes stream to a terminal, restores a snapshot of it at the cut, writes the rest
// to both, and returns their difference.
func cut(t testing.TB, stream []byte, at, cols, rows int, onto *Terminal) {
	t.Helper()
	whole := New(cols, rows, 20)
	_, _ = whole.Write(stream[:at])
	if err := check(whole); err != nil {
		t.Fatalf("after %q: %v", stream[:at], err)
	}
	other := restored(whole, onto)
	if d := firstDifference(dump(other), dump(whole)); d != "" {
		t.Fatalf("cut after %q: the snapshot %q differs: %s", stream[:at], whole.Snapshot(0), d)
	}
	_, _ = whole.Write(stream[at:])
	_, _ = other.Write(stream[at:])
	if d := firstDifference(dump(other), dump(whole)); d != "" {
		t.Fatalf("cut after %q, then %q: %s", stream[:at], stream[at:], d)
	}
	if err := check(other); err != nil {
		t.Fatalf("restored, then %q: %v", stream[at:], err)
	}
}

func TestRandomCuts(t *testing.T) {
	t.Parallel()
	rounds := 5000
	if testing.Short() {
		rounds = 300
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		choices := make([]byte, random.IntN(150))
		for i := range choices {
			choices[i] = byte(random.IntN(256))
		}
		stream := sentence(choices)
		onto := New(8, 5, 20)
		if random.IntN(2) == 0 { // a terminal with other content
			_, _ = onto.Write(stream[random.IntN(len(stream)+1):])
			_, _ = onto.Write(stream[:random.IntN(len(stream)+1)])
		}
		cut(t, stream, random.IntN(len(stream)+1), 8, 5, onto)
	}
}

func FuzzBytes(f *testing.F) {
	f.Add([]byte("hello\r\n\x1b[31mred\x1b[m\x1b]0;t\x07"), uint16(9), uint8(10), uint8(4))
	f.Add([]byte("\xe6\x97\xa5\x1b[?1049h\x1b[2;3r\x1bPq\x1b\\"), uint16(2), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16, cols, rows uint8) {
		c, r := MinCols+int(cols)%30, MinRows+int(rows)%12
		cut(t, stream, min(int(at), len(stream)), c, r, New(c, r, 20))
	})
}

func FuzzSequences(f *testing.F) {
	f.Add([]byte{0, 30, 60, 90, 120, 150}, uint16(9), uint8(10), uint8(4))
	f.Add([]byte{3, 4, 40, 41, 100, 5, 130}, uint16(2), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, choices []byte, at uint16, cols, rows uint8) {
		choices = choices[:min(len(choices), 300)]
		c, r := MinCols+int(cols)%30, MinRows+int(rows)%12
		stream := sentence(choices)
		cut(t, stream, min(int(at), len(stream)), c, r, New(c, r, 20))
	})
}
