package vt_test

import (
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"DA1", "\x1b[c", "\x1b[?62;22c"},
		{"DA1 with 0", "\x1b[0c", "\x1b[?62;22c"},
		{"DA1 with 1", "\x1b[1c", ""},
		{"DA2", "\x1b[>c", "\x1b[>1;10;0c"},
		{"DA3", "\x1b[=c", "\x1bP!|00000000\x1b\\"},
		{"DECID", "\x1bZ", "\x1b[?62;22c"},
		{"DSR", "\x1b[5n", "\x1b[0n"},
		{"CPR", "\x1b[3;7H\x1b[6n", "\x1b[3;7R"},
		{"CPR at the end", "\x1b[3;10Hx\x1b[6n", "\x1b[3;10R"},
		{"CPR in origin mode", "\x1b[2;4r\x1b[?6h\x1b[2;2H\x1b[6n", "\x1b[2;2R"},
		{"DECXCPR", "\x1b[2;3H\x1b[?6n", "\x1b[?2;3R"},
		{"DECRQM on", "\x1b[?7$p", "\x1b[?7;1$y"},
		{"DECRQM off", "\x1b[?2004$p", "\x1b[?2004;2$y"},
		{"DECRQM mouse", "\x1b[?1002h\x1b[?1002$p\x1b[?1000$p", "\x1b[?1002;1$y\x1b[?1000;2$y"},
		{"DECRQM synchronized", "\x1b[?2026$p", "\x1b[?2026;2$y"},
		{"DECRQM alternate screen", "\x1b[?1049h\x1b[?1049$p", "\x1b[?1049;1$y"},
		{"DECRQM unknown", "\x1b[?4711$p", "\x1b[?4711;0$y"},
		{"DECRQM ANSI", "\x1b[4h\x1b[4$p\x1b[20$p\x1b[3$p", "\x1b[4;1$y\x1b[20;2$y\x1b[3;0$y"},
		{"XTVERSION", "\x1b[>q", "\x1bP>|mesh-tty\x1b\\"},
		{"size", "\x1b[18t", "\x1b[8;5;10t"},
		{"foreground", "\x1b]10;?\x1b\\", "\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\"},
		{"background", "\x1b]11;?\x07", "\x1b]11;rgb:0000/0000/0000\x1b\\"},
		{"changed background", "\x1b]11;#102030\x07\x1b]11;?\x07", "\x1b]11;rgb:1010/2020/3030\x1b\\"},
		{"both", "\x1b]10;?;?\x07", "\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"},
		{"palette", "\x1b]4;1;?;196;?;244;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x1b\\\x1b]4;196;rgb:ffff/0000/0000\x1b\\\x1b]4;244;rgb:8080/8080/8080\x1b\\"},
		{"changed palette", "\x1b]4;1;rgb:1/22/333\x07\x1b]4;1;?\x07", "\x1b]4;1;rgb:1111/2222/3333\x1b\\"},
		{"palette put back", "\x1b]4;1;rgb:1/2/3\x07\x1b]104;1\x07\x1b]4;1;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x1b\\"},
		{"kitty keyboard", "\x1b[?u\x1b[>5u\x1b[?u\x1b[=2;2u\x1b[?u\x1b[<u\x1b[?u", "\x1b[?0u\x1b[?5u\x1b[?7u\x1b[?0u"},
		{"DECRQSS pen", "\x1b[1;4:3;38;5;200m\x1bP$qm\x1b\\", "\x1bP1$r0;1;4:3;38;5;200m\x1b\\"},
		{"DECRQSS margins", "\x1b[2;3r\x1bP$qr\x1b\\", "\x1bP1$r2;3r\x1b\\"},
		{"DECRQSS cursor", "\x1b[3 q\x1bP$q q\x1b\\", "\x1bP1$r3 q\x1b\\"},
		{"DECRQSS unknown", "\x1bP$qzz\x1b\\", "\x1bP0$r\x1b\\"},
		{"XTGETTCAP", "\x1bP+q544e\x1b\\", "\x1bP0+r544e\x1b\\"},
		{"XTGETTCAP injected", "\x1bP+q54;\r\nrm\x1b\\", ""},
		{"size reports", "\x1b[?2048h", "\x1b[48;5;10;0;0t"},
		{"title", "\x1b]2;x\x07\x1b[21t", ""}, // never answered: it would type text that the program chose
		{"cancelled", "\x1b[6\x18n\x1b]11;?\x18", ""},
		{"pixels", "\x1b[14t\x1b[16t", ""},
		{"clipboard", "\x1b]52;c;?\x07", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			term := vt.New(10, 5, 0)
			term.Answer = func(b []byte) { got.Write(b) }
			_, _ = term.Write([]byte(tt.in))
			if got.String() != tt.want {
				t.Errorf("%q: got %q, want %q", tt.in, got.String(), tt.want)
			}
			_, _ = vt.New(10, 5, 0).Write([]byte(tt.in)) // Answer is nil
		})
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	n := 0
	term := vt.New(10, 5, 0)
	term.Answer = func(b []byte) { n += len(b) }
	_, _ = term.Write([]byte(strings.Repeat("\x1b[c\x1b]4;1;?\x07", 10_000)))
	if n == 0 || n > vt.MaxAnswerBytes {
		t.Errorf("got %d bytes of answers, want at most %d", n, vt.MaxAnswerBytes)
	}
	n = 0
	if _, _ = term.Write([]byte("\x1b[5n")); n != 4 {
		t.Errorf("the next write: got %d bytes, want 4", n)
	}
}
