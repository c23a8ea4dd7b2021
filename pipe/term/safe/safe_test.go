package safe_test

import (
	"bytes"
	"strings"
	"testing"

	"mesh/pipe/term/safe"
	"mesh/pipe/term/termtest"
	"mesh/pipe/term/vt"
)

// filter returns what passes of raw output that arrives n bytes at a time, and whether
// the alternate screen is on then.
func filter(out []byte, n int) ([]byte, bool) {
	var b bytes.Buffer
	w := safe.NewWriter(&b)
	for len(out) > 0 {
		n := min(n, len(out))
		_, _ = w.Write(out[:n])
		out = out[n:]
	}
	return b.Bytes(), w.Alternate()
}

// Ordinary output passes, and looks the same.
func TestPasses(t *testing.T) {
	t.Parallel()
	for _, s := range append([]string{"\x1b[?1049h\x1b[2;5r\x1b[?6h\x1bM\x1b7\x1b[3S\x1b8\x1b[?2026h\x1b[4h\x1b[1;2Hx\x1b[!p\x1b(0q\x1b(B\x1b#8\x1bc"}, termtest.Streams...) {
		want := vt.New(80, 24, 0)
		_, _ = want.Write([]byte(s))
		for _, n := range []int{1, 2, 3, 1000} {
			out, _ := filter([]byte(s), n)
			got := vt.New(80, 24, 0)
			_, _ = got.Write(out)
			if termtest.Look(got) != termtest.Look(want) {
				t.Errorf("%.100q by %d becomes %.100q, which looks like\n%s\nnot like\n%s", s, n, out, termtest.Look(got), termtest.Look(want))
			}
		}
	}
}

// bad returns what is dangerous in filtered output, or "".
func bad(out []byte) string {
	terminal := vt.New(80, 24, 0)
	answer := ""
	terminal.Answer = func(p []byte) { answer += string(p) }
	_, _ = terminal.Write(out)
	m := terminal.Modes()
	switch {
	case answer != "":
		return "it answers " + answer
	case terminal.Title() != "":
		return "its title is " + terminal.Title()
	case m.Mouse != 0 || m.Focus || m.Paste || m.ColorScheme || m.SizeReports || m.Kitty != 0 || m.OtherKeys != 0:
		return "it would report"
	}
	for _, intro := range []string{"]", "P", "_", "^", "X", "Z", "\\"} {
		if bytes.Contains(out, []byte("\x1b"+intro)) {
			return "ESC " + intro
		}
	}
	for _, r := range string(out) {
		if r >= 0x80 && r < 0xa0 || r == 5 {
			return "control character"
		}
	}
	return ""
}

func TestStops(t *testing.T) {
	t.Parallel()
	for _, s := range append([]string{
		"\x1b[c\x1b[0c\x1b[>0c\x1b[;c", "\x1b\x1b[6n", "\x1b[\x1b[6n", "\x1b[6\x18n\x1b[6n", "\x1b[1;2\r3n", "\x1b]0;x\x1b[c", "\x1bP\x1b]2;t\x07\x1b[6n",
		"\x1b[?1000;1h", "\x1b[?1;1003h", "\x1b[" + strings.Repeat("1;", 1000) + "c", "\x1b[2h", "\x1b[12l", "\x1b[>4;2m", "\x1b[?4m", "\x1b[=5u", "\x1b[21t", "\x1b[4i",
	}, termtest.Hostile...) {
		for _, n := range []int{1, 2, 3, 1000} {
			out, _ := filter([]byte(s), n)
			if why := bad(out); why != "" {
				t.Errorf("%.100q by %d becomes %.100q: %s", s, n, out, why)
			}
		}
	}
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"": false, "\x1b[?1049h": true, "\x1b[?1049hx\x1b[?1049l": false, "\x1b[?47h": true, "\x1b[?25;1047h": true, "\x1b[?1049h\x1bc": false} {
		if _, got := filter([]byte(s), 1); got != want {
			t.Errorf("%q: on the alternate screen: %v", s, got)
		}
	}
}

func FuzzWriter(f *testing.F) {
	for _, s := range append(append([]string{}, termtest.Hostile...), termtest.Streams...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		whole, _ := filter(s, len(s)+1)
		if why := bad(whole); why != "" {
			t.Errorf("%q becomes %q: %s", s, whole, why)
		}
		if bytewise, _ := filter(s, 1); !bytes.Equal(whole, bytewise) {
			t.Errorf("%q becomes %q whole and %q byte by byte", s, whole, bytewise)
		}
	})
}
