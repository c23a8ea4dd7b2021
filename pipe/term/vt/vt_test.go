package vt_test

import (
	"strings"
	"testing"

	"mesh/pipe/term/vt"
)

func TestPrinting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"text", "hello", "hello"},
		{"lines", "a\r\nb\r\nc", "a|b|c"},
		{"wrap", "0123456789ab", "0123456789|ab"},
		{"no wrap", "\x1b[?7l0123456789ab", "012345678b"},
		{"scroll", "1\r\n2\r\n3\r\n4\r\n5", "2|3|4|5"},
		{"cursor", "\x1b[2;3Hx\x1b[Ay", "   y|  x"},
		{"erase", "abcdef\x1b[3D\x1b[K", "abc"},
		{"wide", "日本語日本語", "日本語日本|語"},
		{"wide at the edge", "123456789日", "123456789|日"},
		{"half of a wide one", "日本\x1b[2Gx", " x本"},
		{"joined", "e\u0301x", "e\u0301x"},
		{"drawing", "\x1b(0lqk\x1b(B x", "┌─┐ x"},
		{"repeat", "ab\x1b[3b", "abbbb"},
		{"insert", "abc\x1b[4h\x1b[Gx", "xabc"},
		{"delete", "abc\x1b[G\x1b[P", "bc"},
		{"tab", "a\tb", "a       b"},
		{"alternate screen", "main\x1b[?1049halt\x1b[?1049l", "main"},
		{"title", "\x1b]2;name\x07x", "x"},
		{"upper controls", "a\u0085b", "a|b"},
		{"no UTF-8", "a\xffb", "a\ufffdb"},
		{"cut character", "a\xe6\x97b", "a\ufffd\ufffdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, chunk := range []int{1, 2, 3, 7, len(tt.in)} {
				term := vt.New(10, 4, 10)
				for in := tt.in; in != ""; {
					n := min(chunk, len(in))
					_, _ = term.Write([]byte(in[:n]))
					in = in[n:]
				}
				if got := strings.TrimRight(strings.Join(term.Text(), "|"), "|"); got != tt.want {
					t.Errorf("chunks of %d: got %q, want %q", chunk, got, tt.want)
				}
			}
		})
	}
}

// HistoryWithin counts the newest lines until their cells exceed the limit.
func TestHistoryWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cells, want int }{{0, 1}, {1, 1}, {2, 2}, {4, 2}, {5, 3}, {6, 4}, {1 << 20, 4}} {
		v := vt.New(80, 2, 4)
		_, _ = v.Write([]byte("dropped\r\na\r\nbbb\r\ncc\r\n\r\nscreen\r\n"))
		if got := v.HistoryWithin(c.cells); got != c.want {
			t.Errorf("within %d cells: got %d lines, want %d", c.cells, got, c.want)
		}
	}
}
