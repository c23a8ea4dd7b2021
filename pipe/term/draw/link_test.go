package draw_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"mesh/pipe/term/console"
	"mesh/pipe/term/vt"
)

// linksOf returns the links of a line, each with its cells.
func linksOf(t *vt.Terminal, y int) string {
	var b strings.Builder
	last := ""
	for _, c := range t.Line(y) {
		if c.Style.Link != last {
			last = c.Style.Link
			fmt.Fprintf(&b, "<%s>", last)
		}
		b.WriteString(c.Text)
	}
	return strings.TrimRight(b.String(), " ")
}

// A safe link reaches the viewer's terminal, however its cells are drawn.
func TestLinks(t *testing.T) {
	t.Parallel()
	long := "https://a.example/" + strings.Repeat("x", 1024-len("https://a.example/"))
	for link, passes := range map[string]bool{
		"https://a.example": true, "http://a.example:80/b;c?d=e#f": true, "HTTPS://a.example/": true, "http://[::1]/": true,
		"mailto:a@b.example": true, long: true,
		long + "x": false, "https://": false, "https:a.example": false, "https:///path": false, "//a.example": false, "/etc/passwd": false,
		"https://a.example@b.example/": false, "https://a:b@c.example/": false, "https://a.example/ b": false, "https://a.example/\u00e4": false,
		"https://a.example/%zz": false, "https://a.example/\u202e": false, "mailto:": false, "mailto:a@b.example?attach=/etc/passwd": false, "mailto:a@b.example?": false,
		"file:///etc/passwd": false, "javascript:alert(1)": false, "data:text/html,x": false, "ftp://a.example/": false, "ssh://a.example": false, "x-man-page://ls": false,
	} {
		for _, id := range []string{"", "id=a", "id=;", "a=b:id=c"} {
			p := newPair(40, 4)
			p.feed(t, "one \x1b]8;"+id+";"+link+"\x1b\\link\x1b]8;;\x1b\\ two", false)
			want := "one <" + link + ">link<> two"
			if !passes || id == "id=;" {
				want = "one link two"
			}
			if got := linksOf(p.own, 0); got != want {
				t.Errorf("%q %q: got %s, want %s", id, link, got, want)
			}
			p.same(t, link)
		}
	}
}

// The cells of a link stay one link when parts of it are drawn again. Text whose link
// changes or ends is drawn again.
func TestLinksChange(t *testing.T) {
	t.Parallel()
	const a, b, end = "\x1b]8;;https://a.example/\x1b\\", "\x1b]8;id=1;https://b.example/\x1b\\", "\x1b]8;;\x1b\\"
	p := newPair(40, 4)
	for _, tt := range []struct{ out, want string }{
		{a + "link" + end + "s", "<https://a.example/>link<>s"},
		{"\x1b[1;3H" + a + "\x1b[1mmm" + end + "\x1b[m", "<https://a.example/>limm<>s"},
		{"\x1b[1;1H" + b + "lin" + end, "<https://b.example/>lin<https://a.example/>m<>s"},
		{"\x1b[1;1Hlimms", "limms"},
		{"\x1b[1;1H" + a + b + "\x1b[31ml" + a + "i" + end + "\x1b[m", "<https://b.example/>l<https://a.example/>i<>mms"},
		{"\x1b[H" + a + "\x1b[44m\x1b[K   " + end + "\x1b[m", "<https://a.example/>   <>"},
	} {
		p.feed(t, tt.out, false)
		if got := linksOf(p.own, 0); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.out, got, tt.want)
		}
		ids := map[string]string{}
		for _, c := range p.own.Line(0) {
			if id := c.Style.LinkID; ids[c.Style.Link] != "" && ids[c.Style.Link] != id {
				t.Errorf("%q: %s has the ids %s and %s", tt.out, c.Style.Link, id, ids[c.Style.Link])
			}
			ids[c.Style.Link] = c.Style.LinkID
		}
		p.same(t, tt.out)
	}
	_, _ = p.own.Write([]byte("\x1b[2;1Hx"))
	if got := linksOf(p.own, 1); got != "x" {
		t.Errorf("a link is left open: got %s", got)
	}
	_, _ = p.own.Write([]byte("\x1b[2;1H" + a + console.Reset + "x"))
	if got := linksOf(p.own, 1); got != "x" && got != "<>x" {
		t.Errorf("a link is open after Reset: got %s", got)
	}
}

// Many links do not make the painted bytes grow without bound.
func TestManyLinks(t *testing.T) {
	t.Parallel()
	p := newPair(200, 50)
	long := strings.Repeat("x", 1000)
	var out bytes.Buffer
	out.WriteString("\x1b[H")
	for i := range 200 * 50 {
		fmt.Fprintf(&out, "\x1b]8;;https://%d.example/%s\x1b\\x", i%7, long)
	}
	if got := len(p.feed(t, out.String(), false)); got > 200*50+128<<10 {
		t.Errorf("painted %d bytes", got)
	}
	p.same(t, "many links")
}
