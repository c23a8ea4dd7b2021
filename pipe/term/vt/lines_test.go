package vt_test

import (
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

// lines returns the history and the screen, each line with its number.
func lines(t *vt.Terminal) string {
	oldest, top := t.Numbers()
	_, rows := t.Size()
	var all []string
	for n := oldest; n < top+rows; n++ {
		var text strings.Builder
		for _, c := range t.Numbered(n) {
			text.WriteString(c.Text)
		}
		all = append(all, fmt.Sprintf("%d:%s", n, strings.TrimSpace(text.String())))
	}
	return fmt.Sprintf("%s top %d", strings.Join(all, " "), top)
}

// Lines keep their numbers when they scroll, are dropped from the history, or come back.
func TestNumbers(t *testing.T) {
	t.Parallel()
	term := vt.New(8, 2, 3)
	for _, tt := range []struct{ out, want string }{
		{"", "0: 1: top 0"},
		{"a\r\nb", "0:a 1:b top 0"},
		{"\r\nc", "0:a 1:b 2:c top 1"},
		{"\r\nd\r\ne\r\nf", "1:b 2:c 3:d 4:e 5:f top 4"},
		{"\x1b[?1049hx", "1:b 2:c 3:d 4:e 5:f 6: 7:x top 6"},
		{"\r\ny\r\nz", "1:b 2:c 3:d 4:e 5:f 6:y 7:z top 6"},
		{"\x1b[?1049l\r\ng", "2:c 3:d 4:e 5:f 6:g top 5"},
		{"\x1b[3J", "5:f 6:g top 5"},
		{"\r\nh", "5:f 6:g 7:h top 6"},
	} {
		_, _ = term.Write([]byte(tt.out))
		if got := lines(term); got != tt.want {
			t.Errorf("after %q: got %s, want %s", tt.out, got, tt.want)
		}
	}
	term.Resize(8, 3)
	if got, want := lines(term), "5:f 6:g 7:h top 5"; got != want {
		t.Errorf("one line more: got %s, want %s", got, want)
	}
	term.Resize(8, 1)
	if got, want := lines(term), "5:f 6:g 7:h top 7"; got != want {
		t.Errorf("two lines less: got %s, want %s", got, want)
	}
	_, _ = term.Write([]byte("\x1bc"))
	if got, want := lines(term), "7: top 7"; got != want {
		t.Errorf("reset: got %s, want %s", got, want)
	}
}
