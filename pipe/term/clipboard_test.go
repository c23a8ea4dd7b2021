package term_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"mesh/pipe/term"
)

func TestCopySequence(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("mesh-cat 7-guitar ", 40)
	plain := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(long)) + "\a"
	for _, tt := range []struct{ what, text, variable, want string }{
		{"a terminal", "a b", "", "\x1b]52;c;YSBi\a"},
		{"tmux", "a b", "TMUX", "\x1b]52;c;YSBi\a\x1bPtmux;\x1b\x1b]52;c;YSBi\a\x1b\\"},
		{"screen", "a b", "STY", "\x1bP\x1b]52;c;YSBi\a\x1b\\"},
		{"a long text", long, "", plain},
		{"a long text in screen", long, "STY", "\x1bP" + plain[:250] + "\x1b\\\x1bP" + plain[250:500] + "\x1b\\\x1bP" + plain[500:750] + "\x1b\\\x1bP" + plain[750:] + "\x1b\\"},
	} {
		got := term.CopySequence("c", tt.text, func(name string) string {
			if name == tt.variable {
				return "set"
			}
			return ""
		})
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}
