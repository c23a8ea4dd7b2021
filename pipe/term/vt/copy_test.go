package vt_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

// Only whole text of a bounded size reaches a clipboard, and only if that is wanted.
func TestCopy(t *testing.T) {
	t.Parallel()
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	most := strings.Repeat("x", vt.MaxCopyBytes)
	for _, tt := range []struct{ name, in, want string }{
		{"clipboard", "\x1b]52;c;" + b64("text") + "\a", "c text"},
		{"ST", "\x1b]52;c;" + b64("text") + "\x1b\\", "c text"},
		{"no selection", "\x1b]52;;" + b64("text") + "\a", "c text"},
		{"several", "\x1b]52;spc0c;" + b64("text") + "\a", "cps text"},
		{"cut buffers", "\x1b]52;017q;" + b64("text") + "\a", ""},
		{"unknown letters", "\x1b]52;cX ?;" + b64("text") + "\a", "c text"},
		{"lines", "\x1b]52;c;" + b64("a\n\tb\r\n\u65e5") + "\a", "c a\n\tb\r\n\u65e5"},
		{"nothing", "\x1b]52;c;\a", "c "},
		{"the newest", "\x1b]52;c;" + b64("a") + "\a\x1b]52;p;" + b64("b") + "\a", "c ap b"},
		{"the most", "\x1b]52;c;" + b64(most) + "\a", "c " + most},
		{"more", "\x1b]52;c;" + b64(most+"x") + "\a", ""},
		{"far more", "\x1b]52;c;" + b64(most+most) + "\a", ""},
		{"a query", "\x1b]52;c;?\a", ""},
		{"a query of all", "\x1b]52;cps;?\x1b\\", ""},
		{"no base64", "\x1b]52;c;te xt\a", ""},
		{"no padding", "\x1b]52;c;dGV4dA\a", ""},
		{"loose bits", "\x1b]52;c;dGV4dB==\a", ""},
		{"no text", "\x1b]52;c\a", ""},
		{"cancelled", "\x1b]52;c;" + b64("text") + "\x18", ""},
		{"no end", "\x1b]52;c;" + b64("text"), ""},
		{"the end of a paste", "\x1b]52;c;" + b64("ls\x1b[201~\n") + "\a", ""},
		{"C1", "\x1b]52;c;" + b64("ls\u009b201~") + "\a", ""},
		{"NUL", "\x1b]52;c;" + b64("a\x00") + "\a", ""},
		{"DEL", "\x1b]52;c;" + b64("a\x7f") + "\a", ""},
		{"no UTF-8", "\x1b]52;c;" + b64("\xff") + "\a", ""},
		{"another number", "\x1b]53;c;" + b64("text") + "\a", ""},
		{"a long title", "\x1b]2;" + b64(most) + "\a", ""},
	} {
		for _, size := range []int{1 << 22, 4096, 3} {
			term := vt.New(10, 3, 0)
			got := ""
			term.Copy = func(selections, text string) { got += selections + " " + text }
			for rest := tt.in; rest != ""; {
				n := min(len(rest), size)
				_, _ = term.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got != tt.want {
				t.Errorf("%s, in steps of %d: got %.60q, want %.60q", tt.name, size, got, tt.want)
			}
		}
		if replies := answers(tt.in); replies != "" {
			t.Errorf("%s: it answers %q", tt.name, replies)
		}
	}
}

// answers returns what a terminal whose clipboard is left alone answers to a stream.
func answers(in string) string {
	term := vt.New(10, 3, 0)
	replies := ""
	term.Answer = func(p []byte) { replies += fmt.Sprint(string(p)) }
	_, _ = term.Write([]byte(in))
	return replies
}
