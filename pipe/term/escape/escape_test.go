package escape_test

import (
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/escape"
)

// trace is what became of keys: what is sent, with commands in their place.
type trace struct {
	strings.Builder
}

var names = map[escape.Command]string{
	escape.Detach: "<detach>", escape.Suspend: "<suspend>", escape.Help: "<help>", escape.Status: "<status>", escape.Ask: "<ask>",
	escape.Up: "<up>", escape.Down: "<down>", escape.Left: "<left>", escape.Right: "<right>",
}

func (t *trace) feed(k *escape.Keys, p []byte) {
	for len(p) > 0 {
		send, c, n := k.Next(p)
		t.Write(send)
		if c != escape.None {
			t.WriteString(names[c])
		} else if n != len(p) {
			t.WriteString(fmt.Sprintf("<took %d of %d>", n, len(p)))
		}
		p = p[n:]
	}
}

// cuts returns what becomes of keys whole, and when they come in two reads cut
// anywhere, and byte by byte.
func cuts(k escape.Keys, in string) map[string]string {
	all := map[string]string{}
	try := func(name string, parts ...string) {
		keys := k
		var t trace
		for _, p := range parts {
			t.feed(&keys, []byte(p))
		}
		t.Write(keys.End())
		all[name] = t.String()
	}
	for i := range len(in) + 1 {
		try(fmt.Sprintf("cut at %d", i), in[:i], in[i:])
	}
	try("byte by byte", strings.Split(in, "")...)
	return all
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const paste, end = "\x1b[200~", "\x1b[201~"
	for _, tt := range []struct{ in, want, unmarked string }{
		{in: ""},
		{in: "ls\r", want: "ls\r"},
		{in: "~.", want: "<detach>"},
		{in: "~?~s~r~\x1a", want: "<help><status><ask><suspend>"},
		{in: "x~.", want: "x~."},
		{in: "x\r~.y", want: "x\r<detach>y"},
		{in: "x\n~.", want: "x\n<detach>"},
		{in: "~~", want: "~"},
		{in: "~~.", want: "~."},
		{in: "\r~~~.", want: "\r~~."},
		{in: "~", want: "~"},
		{in: "~a~.", want: "~a~."},
		{in: "~\r~.", want: "~\r<detach>"},
		{in: "~\x1b[A", want: "<up>"},
		{in: "~\x1b[A\x1b[B\x1bOC\x1b[Dx\x1b[A", want: "<up><down><right><left>x\x1b[A"},
		{in: "~\x1b[A~.", want: "<up><detach>"},
		{in: "~\x1b[A\x1b[5~", want: "<up>\x1b[5~"},
		{in: "~\x1b[5~", want: "~\x1b[5~"},
		{in: "~\x1b", want: "~\x1b"},
		{in: "~\x1bx", want: "~\x1bx"},
		{in: "~\x1b[", want: "~\x1b["},
		{in: "\x1b[A", want: "\x1b[A"},
		{in: "\x1b\x1b[A\x1b", want: "\x1b\x1b[A\x1b"},
		{in: paste + "a\r~.\r~." + end + "\r~.", want: paste + "a\r~.\r~." + end + "\r<detach>", unmarked: "a\r~.\r~.\r<detach>"},
		{in: paste + "~." + end, want: paste + "~." + end, unmarked: "~."},
		{in: paste + paste + "\r~." + end, want: paste + paste + "\r~." + end, unmarked: "\r~."},
		{in: end + "\r~.", want: end + "\r<detach>", unmarked: "\r<detach>"},
		{in: "\x1b[20" + paste + "\r~.", want: "\x1b[20" + paste + "\r~.", unmarked: "\x1b[20\r~."},
		{in: "\x1b[202~\r~.", want: "\x1b[202~\r<detach>"},
		{in: "\x1b[200\r~.", want: "\x1b[200\r<detach>"},
		{in: "ä€~.", want: "ä€~."},
	} {
		if tt.unmarked == "" {
			tt.unmarked = tt.want
		}
		for how, got := range cuts(escape.Keys{Char: '~'}, tt.in) {
			if got != tt.want {
				t.Errorf("%q, %s: got %q, want %q", tt.in, how, got, tt.want)
			}
		}
		for how, got := range cuts(escape.Keys{Char: '~', Unmark: true}, tt.in) {
			if got != tt.unmarked {
				t.Errorf("%q without marks, %s: got %q, want %q", tt.in, how, got, tt.unmarked)
			}
		}
		for how, got := range cuts(escape.Keys{}, tt.in) {
			if got != tt.in {
				t.Errorf("%q without an escape character, %s: got %q", tt.in, how, got)
			}
		}
	}
	for how, got := range cuts(escape.Keys{Char: '~', Anywhere: true}, "\x1b[5~~.\x1b[6;2~~~\x1b~.") {
		if want := "\x1b[5~<detach>\x1b[6;2~~\x1b<detach>"; got != want {
			t.Errorf("function keys, %s: got %q, want %q", how, got, want)
		}
	}
	for how, got := range cuts(escape.Keys{Char: '%', Anywhere: true}, "a%.~.%%") {
		if want := "a<detach>~.%"; got != want {
			t.Errorf("%s: got %q, want %q", how, got, want)
		}
	}
}

// A key that begins as a mark does is sent when nothing follows it.
func TestFlush(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keys     escape.Keys
		in       string
		withheld bool
		want     string
	}{
		{escape.Keys{Char: '~'}, "x\x1b", false, "x\x1b"},
		{escape.Keys{Char: '~', Unmark: true}, "x\x1b", true, "x\x1b"},
		{escape.Keys{Char: '~', Unmark: true}, "\x1b[20", true, "\x1b[20"},
		{escape.Keys{Char: '~', Unmark: true}, "x", false, "x"},
		{escape.Keys{Char: '~'}, "~\x1b", true, "~\x1b"},
		{escape.Keys{Char: '~', Unmark: true}, "~\x1b", true, "~\x1b"},
		{escape.Keys{Char: '~'}, "~", false, ""},
	} {
		var got trace
		got.feed(&tt.keys, []byte(tt.in))
		if tt.keys.Withholds() != tt.withheld {
			t.Errorf("%q: withholds keys: %v", tt.in, tt.keys.Withholds())
		}
		got.Write(tt.keys.Flush())
		if got.String() != tt.want || tt.keys.Withholds() {
			t.Errorf("%q: got %q, want %q", tt.in, got.String(), tt.want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("a\r~.\x1b[200~\r~.\x1b[201~~\x1b[A", true)
	f.Add("~\x1b[20\x1b[200~~.", false)
	f.Fuzz(func(t *testing.T, in string, unmark bool) {
		if len(in) > 100 {
			return
		}
		want := ""
		for how, got := range cuts(escape.Keys{Char: '~', Unmark: unmark}, in) {
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%q, %s: got %q, elsewhere %q", in, how, got, want)
			}
		}
	})
}
