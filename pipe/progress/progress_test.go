package progress_test

import (
	"bytes"
	"strings"
	"testing"

	"mesh/pipe/progress"
)

const mib = 1 << 20

func TestLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		bytes, total int64
		want, not    string
	}{
		{"nobody knows how many", 512 * mib, 0, "512 MiB", "%"},
		{"half", 512 * mib, 1024 * mib, "50%", ""},
		{"half, in bytes", 512 * mib, 1024 * mib, "512 MiB/1.0 GiB", ""},
		{"all", mib, mib, "100%", ""},
		{"of one byte", 1, 1, "100%", ""},
		{"nothing yet", 0, mib, "0%", ""},
	} {
		var out bytes.Buffer
		line := progress.New(&out, tt.total, true)
		line.Set(tt.bytes)
		drawn := out.String()
		if !strings.Contains(drawn, tt.want) || tt.not != "" && strings.Contains(drawn, tt.not) {
			t.Errorf("%s: got %q, want %q in it", tt.name, drawn, tt.want)
		}
		if strings.ContainsFunc(drawn, func(r rune) bool { return r > '~' }) {
			t.Errorf("%s: got %q, want ASCII alone", tt.name, drawn)
		}
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ansi bool
		want string
	}{
		{true, "\x1b[2K\r"},
		{false, " \r"},
	} {
		var out bytes.Buffer
		line := progress.New(&out, 0, tt.ansi)
		line.Clear()
		if out.Len() > 0 {
			t.Errorf("cleared before the first Set: got %q, want nothing", out.String())
		}
		line.Set(mib)
		line.Clear()
		got := out.String()
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("ansi %v: got %q, want %q at the end", tt.ansi, got, tt.want)
		}
		if !tt.ansi && strings.Contains(got, "\x1b") {
			t.Errorf("got %q, want no escape sequence", got)
		}
	}
}
