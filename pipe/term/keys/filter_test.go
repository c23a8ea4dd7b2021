package keys_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mesh/pipe/term/keys"
)

// What a keyboard sends passes unchanged, wherever it is cut; replies of terminals do
// not.
func TestFilter(t *testing.T) {
	t.Parallel()
	pass := []string{
		"a", "ä世🙂", "\r", "\x03", "\x7f", "\x00", "\xff\xfe",
		"\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1b[15~", "\x1b[[A", "\x1b\x1b[A", "\x1bx", "\x1b\x7f",
		"\x1b[1;2R", "\x1b[1;8R", "\x1b[R", // F3
		"\x1b[97;5u", // a key, as kitty says it
		"\x1b[I", "\x1b[O", "\x1b[<0;3;4M", "\x1b[<0;3;4m", "\x1b[M !!",
		"\x1b[200~pasted\rlines\x1b[201~",
	}
	for _, key := range pass {
		for _, rest := range []string{"", "x"} {
			for cut := 0; cut <= len(key); cut++ {
				var k keys.Filter
				got := slices.Concat(k.Pass([]byte(key[:cut])), k.Pass([]byte(key[cut:]+rest)))
				if want := key + rest; string(got) != want && !(cut == 1 && key[0] == '\x1b') { // Escape alone is a key
					t.Errorf("%q cut at %d: got %q, want %q", key+rest, cut, got, want)
				}
			}
		}
	}
	for _, reply := range []string{
		"\x1b[?62;22c", "\x1b[>0;276;0c", "\x1b[=0c", "\x1b[c",
		"\x1b[0n", "\x1b[3n", "\x1b[?997;1n", "\x1b[24;80R", "\x1b[?24;80R", "\x1b[1;9R", "\x1b[2;2R",
		"\x1b[?2004;1$y", "\x1b[4;2$y", "\x1b[8;24;80t", "\x1b[?1u", "\x1b[2;1;1;128;128;1;0x",
		"\x1bP1$r0m\x1b\\", "\x1bP>|xterm(390)\x1b\\", "\x1b]11;rgb:1a1a/1b1b/2626\x07", "\x1b]10;rgb:0/0/0\x1b\\", "\x1b]52;c;aGk=\x1b\\",
		"\x1b_Gi=31;OK\x1b\\", "\x1b^x\x1b\\", "\x1bXx\x1b\\",
	} {
		for cut := 2; cut <= len(reply); cut++ {
			var k keys.Filter
			got := slices.Concat(k.Pass([]byte("a"+reply[:cut])), k.Pass([]byte(reply[cut:]+"b")))
			if string(got) != "ab" {
				t.Errorf("%q cut at %d: got %q, want it left out", reply, cut, got)
			}
		}
	}
}

// For any input, what is held is bounded, and what passes is the input without some whole
// sequences.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"abc\x1b[A", "\x1b[200~x\x1b[201~", "\x1b]11;rgb:", "\x1b[?62;22c", "\x1b\x1b\x1b[", "\x1bP" + strings.Repeat("x", 100)} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		var k keys.Filter
		got := k.Pass(b[:cut])
		if n := len(k.Held()); n > keys.MaxHeld {
			t.Errorf("holds %d bytes", n)
		}
		got = append(got, k.Pass(b[cut:])...)
		if n := len(k.Held()); n > keys.MaxHeld {
			t.Errorf("holds %d bytes", n)
		}
		rest := b // got is a subsequence of it
		for _, c := range got {
			i := bytes.IndexByte(rest, c)
			if i < 0 {
				t.Fatalf("got %q of %q", got, b)
			}
			rest = rest[i+1:]
		}
	})
}
