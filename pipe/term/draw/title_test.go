package draw_test

import (
	"strings"
	"testing"
)

// A title begins with the peer, and has no character that could end or disguise it.
func TestTitle(t *testing.T) {
	t.Parallel()
	p := newPair(20, 4)
	for _, tt := range []struct{ out, want string }{
		{"", "bob"},
		{"\x1b]2;vim main.go\a", "bob: vim main.go"},
		{"\x1b]0;\u202eevil\u2066\u200b\U000e0041 b\u2028c\a", "bob: evil bc"},
		{"\x1b]2;" + strings.Repeat("€", 200) + "\a", "bob: " + strings.Repeat("€", 83)},
		{"\x1b]2;a\x1b[31mb\a", "bob: a"},
		{"\x1b]2;\a", "bob"},
	} {
		p.feed(t, tt.out, false)
		if got := p.own.Title(); got != tt.want {
			t.Errorf("%q: got title %q, want %q", tt.out, got, tt.want)
		}
	}
	p.screen.Peer = ""
	if out := p.feed(t, "\x1b]2;other\a", false); len(out) != 0 {
		t.Errorf("a title that is to be left alone: painted %q", out)
	}
}
