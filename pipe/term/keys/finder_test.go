package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/keys"
)

// trace is the result for some keys: what is sent, with commands in their places.
type trace struct {
	strings.Builder
}

var names = map[keys.Command]string{
	keys.Detach: "<detach>", keys.Suspend: "<suspend>", keys.Help: "<help>", keys.Status: "<status>", keys.Ask: "<ask>",
	keys.PanUp: "<up>", keys.PanDown: "<down>", keys.PanLeft: "<left>", keys.PanRight: "<right>",
}

func (t *trace) feed(k *keys.Finder, p []byte) {
	for len(p) > 0 {
		send, c, n := k.Next(p)
		t.Write(send)
		if c != keys.None {
			t.WriteString(names[c])
		} else if n != len(p) {
			t.WriteString(fmt.Sprintf("<took %d of %d>", n, len(p)))
		}
		p = p[n:]
	}
}

// cuts returns the results for keys in one read, in two reads cut anywhere, and byte by
// byte.
func cuts(k keys.Finder, in string) map[string]string {
	all := map[string]string{}
	try := func(name string, parts ...string) {
		finder := k
		var t trace
		for _, p := range parts {
			t.feed(&finder, []byte(p))
		}
		t.Write(finder.End())
		all[name] = t.String()
	}
	for i := range len(in) + 1 {
		try(fmt.Sprintf("cut at %d", i), in[:i], in[i:])
	}
	try("byte by byte", strings.Split(in, "")...)
	return all
}

func TestFinder(t *testing.T) {
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
		{in: "~\x1b[[A", want: "~\x1b[[A"}, // F1 of the Linux console
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
		for how, got := range cuts(keys.Finder{Char: '~'}, tt.in) {
			if got != tt.want {
				t.Errorf("%q, %s: got %q, want %q", tt.in, how, got, tt.want)
			}
		}
		for how, got := range cuts(keys.Finder{Char: '~', DropMarks: true}, tt.in) {
			if got != tt.unmarked {
				t.Errorf("%q without marks, %s: got %q, want %q", tt.in, how, got, tt.unmarked)
			}
		}
		for how, got := range cuts(keys.Finder{}, tt.in) {
			if got != tt.in {
				t.Errorf("%q without an escape character, %s: got %q", tt.in, how, got)
			}
		}
	}
	for how, got := range cuts(keys.Finder{Char: '~', Anywhere: true}, "\x1b[5~~.\x1b[6;2~~~\x1b~.") {
		if want := "\x1b[5~<detach>\x1b[6;2~~\x1b<detach>"; got != want {
			t.Errorf("function keys, %s: got %q, want %q", how, got, want)
		}
	}
	for how, got := range cuts(keys.Finder{Char: '%', Anywhere: true}, "a%.~.%%") {
		if want := "a<detach>~.%"; got != want {
			t.Errorf("%s: got %q, want %q", how, got, want)
		}
	}
}

// The beginning of a sequence is sent as keys when nothing follows.
func TestFlush(t *testing.T) {
	t.Parallel()
	long := "\x1b[" + strings.Repeat("1", 254)
	for _, tt := range []struct {
		in       string
		withheld bool
		want     string
	}{
		{"", false, ""},
		{"x", false, "x"},
		{"x\x1b", true, "x\x1b"},
		{"\x1b[20", true, "\x1b[20"},
		{"\x1b[20~", false, "\x1b[20~"},
		{"\x1bO", true, "\x1bO"},
		{"\x1bx", false, "\x1bx"},
		{long, true, long},
		{long + "1", false, long + "1"},
		{"~\x1b", true, "~\x1b"},
		{"~", false, ""},
	} {
		for _, unmark := range []bool{false, true} {
			finder := keys.Finder{Char: '~', DropMarks: unmark}
			var got trace
			got.feed(&finder, []byte(tt.in))
			if finder.Withholds() != tt.withheld {
				t.Errorf("%q: withholds keys: %v", tt.in, finder.Withholds())
			}
			got.Write(finder.Flush())
			if got.String() != tt.want || finder.Withholds() {
				t.Errorf("%q: got %q, want %q", tt.in, got.String(), tt.want)
			}
		}
	}
}

// Commands are found in every keyboard protocol.
func TestProtocols(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want, noText string }{
		// kitty, flag 1: only ambiguous keys are encoded
		{in: "~\x1b[122;5u", want: "<suspend>"},
		{in: "a\x1b[27u~.", want: "a\x1b[27u~."},
		{in: "a\x1b[13u~.", want: "a\x1b[13u<detach>"},
		{in: "a\x1b[57414u~.", want: "a\x1b[57414u<detach>"},
		{in: "a\x1b[106;5u~.", want: "a\x1b[106;5u<detach>"},
		{in: "a\x1b[13;5u~.", want: "a\x1b[13;5u~."},
		// with releases
		{in: "\r\x1b[13;1:3u~\x1b[96;2:3u.\x1b[46;1:3u", want: "\r\x1b[13;1:3u<detach>"},
		{in: "~\x1b[96;2:3ux\x1b[120;1:3u", want: "~\x1b[96;2:3ux\x1b[120;1:3u"},
		// all keys encoded, with releases and text
		{
			in:     "\x1b[13;;13u\x1b[13;1:3u\x1b[57441;2u\x1b[96:126;2;126u\x1b[96;2:3u\x1b[57441;1:3u\x1b[46;;46u\x1b[46;1:3u",
			want:   "\x1b[13;;13u\x1b[13;1:3u\x1b[57441;2u<detach>",
			noText: "\x1b[13u\x1b[13;1:3u\x1b[57441;2u<detach>",
		},
		{in: "\x1b[96:126;2u\x1b[46u", want: "<detach>"},
		{in: "\x1b[43;;126u\x1b[115u", want: "<status>"},
		{in: "\x1b[126u\x1b[114u", want: "<ask>"},
		{in: "\x1b[126u\x1b[47:63;2u", want: "<help>"},
		{in: "\x1b[126u\x1b[126;1:3u\x1b[126u\x1b[126;1:3u\x1b[46u", want: "\x1b[126u\x1b[126;1:3u\x1b[46u"},
		{in: "\x1b[126u\x1b[126;1:3u\x1b[97u", want: "\x1b[126u\x1b[126;1:3u\x1b[97u"},
		{in: "\x1b[126u\x1b[126;1:3u\x1b[1;1:1A\x1b[1;1:3A\x1b[1;129B\x1b[97u", want: "<up><down>\x1b[97u"},
		{in: "\x1b[126;3u\x1b[46u", want: "\x1b[126;3u\x1b[46u"},
		{in: "\x1b[126;129u\x1b[46u", want: "<detach>"},
		{in: "\x1b[126;9u\x1b[46u", want: "\x1b[126;9u\x1b[46u"},
		{in: "\x1b[97;2;65u", want: "\x1b[97;2;65u", noText: "\x1b[97;2u"},
		{in: "\x1b[0;;228:8364u", want: "\x1b[0;;228:8364u", noText: "ä€"},
		{in: "\x1b[0;;27:13:1114112:55296u", want: "\x1b[0;;27:13:1114112:55296u", noText: "\ufffd"},
		{in: "\x1b[97;5u", want: "\x1b[97;5u"},
		// modifyOtherKeys, in both of its formats
		{in: "~\x1b[27;5;122~", want: "<suspend>"},
		{in: "\x1b[27;2;126~.", want: "<detach>"},
		{in: "\x1b[126;2u.", want: "<detach>"},
		{in: "\x1b[27;5;97~", want: "\x1b[27;5;97~"},
		{in: "~\x1b[27;2;63~", want: "<help>"},
		// pasted text has no commands
		{in: "\x1b[200~\x1b[97;;97u\x1b[126u\x1b[46u\x1b[201~", want: "\x1b[200~\x1b[97;;97u\x1b[126u\x1b[46u\x1b[201~"},
		// not from a keyboard
		{in: "\x1b[u~.\x1b[99999999999u", want: "\x1b[u~.\x1b[99999999999u"},
		{in: "\x1b[;;u\x1b[::;::;::u", want: "\x1b[;;u\x1b[::;::;::u", noText: "\x1b[u\x1b[::;::u"},
		{in: "\x1b[<64;1;1M\x1b[M ~.~.", want: "\x1b[<64;1;1M\x1b[M ~.~."},
	} {
		for _, noText := range []bool{false, true} {
			want := tt.want
			if noText && tt.noText != "" {
				want = tt.noText
			}
			for how, got := range cuts(keys.Finder{Char: '~', DropText: noText}, tt.in) {
				if got != want {
					t.Errorf("%q, %s: got %q, want %q", tt.in, how, got, want)
				}
			}
		}
	}
}

// A key that ends with the escape character does not begin a command.
func TestFunctionKeys(t *testing.T) {
	t.Parallel()
	for how, got := range cuts(keys.Finder{Char: '~', Anywhere: true}, "\x1b[5~~.\x1b[6;2~~~\x1b~.") {
		if want := "\x1b[5~<detach>\x1b[6;2~~\x1b<detach>"; got != want {
			t.Errorf("%s: got %q, want %q", how, got, want)
		}
	}
}

// Releases and modifiers do not count as pressed.
func TestPressed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"a": true, "\x1b[97u": true, "\x1b[97;1:3u": false, "\x1b[57441u": false, "~": true, "": false} {
		finder := keys.Finder{Char: '~'}
		finder.Next([]byte(in))
		if got := finder.Pressed(); got != want || finder.Pressed() {
			t.Errorf("%q: got %v, want %v once", in, got, want)
		}
	}
}

func FuzzFinder(f *testing.F) {
	f.Add("a\r~.\x1b[200~\r~.\x1b[201~~\x1b[A", true)
	f.Add("~\x1b[20\x1b[200~~.", false)
	f.Add("\x1b[96:126;2;126u\x1b[96;2:3u\x1b[46;;46u\x1b[27;5;122~", true)
	f.Fuzz(func(t *testing.T, in string, drop bool) {
		if len(in) > 100 {
			return
		}
		want, first := "", true
		for how, got := range cuts(keys.Finder{Char: '~', DropMarks: drop, DropText: drop}, in) {
			if first {
				want, first = got, false
			}
			if got != want {
				t.Errorf("%q, %s: got %q, elsewhere %q", in, how, got, want)
			}
			if !drop && len(got) == 0 && len(in) > 2 && !strings.Contains(in, "~") {
				t.Errorf("%q, %s: nothing is sent", in, how)
			}
		}
	})
}

// The help fits 80 columns.
func TestNamesFit(t *testing.T) {
	const line = "after a newline, ~ and: " + keys.CommandHelp
	if len(line) > 80 {
		t.Errorf("%q has %d columns, want at most 80", line, len(line))
	}
}
