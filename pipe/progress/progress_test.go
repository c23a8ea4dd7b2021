package progress_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

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
		line := progress.New(&out, true)
		line.Set(progress.State{Bytes: tt.bytes, Total: tt.total, Known: tt.total > 0, Left: -1})
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
		line := progress.New(&out, tt.ansi)
		line.Clear()
		if out.Len() > 0 {
			t.Errorf("cleared before the first Set: got %q, want nothing", out.String())
		}
		line.Set(progress.State{Bytes: mib})
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

func TestBroken(t *testing.T) {
	t.Parallel()
	for _, ansi := range []bool{true, false} {
		var out bytes.Buffer
		line := progress.New(&out, ansi)
		line.Set(progress.State{Bytes: mib, Total: 2 * mib, Known: true})
		for _, tt := range []struct {
			since time.Duration
			want  string // the last bytes drawn by this call; empty for none
		}{
			{0, "\rlink broken, waiting 0 s"},
			{999 * time.Millisecond, ""},
			{time.Second, "\rlink broken, waiting 1 s"},
			{2 * time.Minute, "\rlink broken, waiting 120 s"},
		} {
			out.Reset()
			line.Broken(tt.since)
			if got := out.String(); tt.want == "" && got != "" || !strings.HasSuffix(got, tt.want) {
				t.Errorf("ansi %v, broken for %v: got %q, want %q at the end", ansi, tt.since, got, tt.want)
			}
		}
		wiped := "\r" + strings.Repeat(" ", len("link broken, waiting 120 s")) + "\r"
		out.Reset()
		line.Set(progress.State{Bytes: 2 * mib, Total: 2 * mib, Known: true})
		if got := out.String(); !strings.HasPrefix(got, wiped) || !strings.Contains(got, "100%") {
			t.Errorf("ansi %v, back: got %q, want %q and the bar", ansi, got, wiped)
		}
		line.Broken(2 * time.Minute)
		out.Reset()
		line.Clear()
		if got := out.String(); !strings.HasPrefix(got, wiped) {
			t.Errorf("ansi %v, cleared: got %q, want %q first", ansi, got, wiped)
		}
	}
}

// The words say what is known, and the percentage never goes back.
func TestWords(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := progress.New(&out, true)
	for _, tt := range []struct {
		state     progress.State
		want, not string
	}{
		{progress.State{Bytes: mib, Total: 4 * mib, Rate: mib, Left: time.Second}, "1.0 MiB of >= 4.0 MiB, 1.0 MiB/s", "left"},
		{progress.State{Bytes: 2 * mib, Total: 8 * mib, Known: true, Rate: mib, Left: 6 * time.Second}, "2.0 MiB/8.0 MiB, 1.0 MiB/s, 6s left", ">="},
		{progress.State{Bytes: mib, Total: 8 * mib, Known: true, Left: -1}, "25%", "left"},
		{progress.State{Rate: 3 << 70}, "3072 EiB/s", ""},
		{progress.State{Bytes: 4 * mib, Total: 8 * mib, Known: true, Rate: 500 << 10, Limit: 512 << 10, Left: 90 * time.Second}, "500 KiB/s (limit 512 KiB/s), 1m30s left", ""},
		{progress.State{Bytes: 9 * mib, Total: 8 * mib, Known: true}, "100%", ""},
	} {
		out.Reset()
		line.Set(tt.state)
		if got := out.String(); !strings.Contains(got, tt.want) || tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%+v: got %q, want %q in it and not %q", tt.state, got, tt.want, tt.not)
		}
	}
}
