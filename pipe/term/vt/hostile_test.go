package vt

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostileStreams try to make a terminal use memory without bound. Each is a writer of
// about n bytes, under the name of its attempt.
var hostileStreams = map[string]func(n int) []byte{
	"an OSC without end":     func(n int) []byte { return append([]byte("\x1b]0;"), bytes.Repeat([]byte("x"), n)...) },
	"a DCS without end":      func(n int) []byte { return append([]byte("\x1bPq"), bytes.Repeat([]byte("~"), n)...) },
	"an APC without end":     func(n int) []byte { return append([]byte("\x1b_G"), bytes.Repeat([]byte("A"), n)...) },
	"a CSI without end":      func(n int) []byte { return append([]byte("\x1b["), bytes.Repeat([]byte("9"), n)...) },
	"parameters without end": func(n int) []byte { return append([]byte("\x1b["), bytes.Repeat([]byte("1;2:"), n/4)...) },
	"intermediates":          func(n int) []byte { return append([]byte("\x1b["), bytes.Repeat([]byte("$"), n)...) },
	"marks on one cell":      func(n int) []byte { return append([]byte("e"), bytes.Repeat([]byte("\u0301"), n/2)...) },
	"different marks": func(n int) []byte {
		return many(n, func(i int) string { return "a" + string(rune(0x300+i%100)) + string(rune(0x300+i/100%100)) })
	},
	"every colour": func(n int) []byte {
		return many(n, func(i int) string { return fmt.Sprintf("\x1b[38;2;%d;%d;%dmx", i>>16&255, i>>8&255, i&255) })
	},
	"every background, erased": func(n int) []byte {
		return many(n, func(i int) string { return fmt.Sprintf("\x1b[48;2;%d;%d;%dm\x1b[K\n", i>>16&255, i>>8&255, i&255) })
	},
	"links": func(n int) []byte {
		return many(n, func(i int) string {
			return fmt.Sprintf("\x1b]8;id=%d;http://host/%d%s\x1b\\x", i, i, strings.Repeat("y", 1000))
		})
	},
	"short links": func(n int) []byte {
		return many(n, func(i int) string { return fmt.Sprintf("\x1b]8;;a:%d\x1b\\x", i) })
	},
	"titles": func(n int) []byte {
		return many(n, func(int) string { return "\x1b]0;" + strings.Repeat("t", 60000) + "\x1b\\\x1b[22t" })
	},
	"a folder": func(n int) []byte {
		return many(n, func(int) string { return "\x1b]7;" + strings.Repeat("t", 60000) + "\x1b\\" })
	},
	"palette": func(n int) []byte {
		return many(n, func(i int) string { return fmt.Sprintf("\x1b]4;%d;#%06x\x07", i%300, i) })
	},
	"repeats": func(n int) []byte { return many(min(n, 2000), func(int) string { return "x\x1b[999999999b" }) },
	"lines": func(n int) []byte {
		return many(n, func(int) string { return "\x1b[999999999S\x1b[999999999L\x1b[999999999M\x1b[999999999@\n" })
	},
	"keyboard flags":  func(n int) []byte { return bytes.Repeat([]byte("\x1b[>1u"), n/5) },
	"half characters": func(n int) []byte { return bytes.Repeat([]byte("\xf0\x9f"), n/2) },
}

func many(n int, f func(i int) string) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, f(i)...)
	}
	return b
}

// TestMemory is not parallel: it measures the whole heap.
func TestMemory(t *testing.T) {
	const limit = 16 << 20 // 1000 lines of 80 cells, each with a style of its own twice over
	for name, stream := range hostileStreams {
		n := 2 << 20
		if name == "an OSC without end" {
			n = 10 << 20
		}
		b := stream(n)
		before := heap()
		term := New(80, 24, 1000)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			_, _ = term.Write(rest[:n])
			rest = rest[n:]
		}
		if got := int64(heap()) - int64(before); got > limit {
			t.Errorf("%s: %d bytes are in use, want at most %d", name, got, limit)
		}
		if err := check(term); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(term.Pending()); got > maxStringBytes+16 {
			t.Errorf("%s: %d bytes are pending", name, got)
		}
		if d := firstDifference(dump(restored(term, New(80, 24, 1000))), dump(term)); d != "" && name != "links" && name != "short links" {
			t.Errorf("%s: a snapshot differs: %.300s", name, d)
		}
		runtime.KeepAlive(term)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A string that is too long has no effect, wherever it is cut.
func TestLongStrings(t *testing.T) {
	t.Parallel()
	for _, size := range []int{maxStringBytes - 3, maxStringBytes - 2, maxStringBytes - 1, 2 * maxStringBytes} {
		stream := []byte("\x1b]2;old\x07\x1b]2;" + strings.Repeat("x", size) + "\x07ok")
		for _, at := range []int{100, maxStringBytes, maxStringBytes + 10, len(stream) - 3, len(stream)} {
			cut(t, stream, min(at, len(stream)), 10, 3, New(10, 3, 0))
		}
		term := New(10, 3, 0)
		_, _ = term.Write(stream)
		want := "old"
		if size <= maxStringBytes-2 {
			want = strings.Repeat("x", maxTitleBytes)
		}
		if term.Title() != want || term.Text()[0] != "ok" {
			t.Errorf("%d bytes: got title %.20q and text %q, want %.20q and ok", size, term.Title(), term.Text()[0], want)
		}
	}
}
