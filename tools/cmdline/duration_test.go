package cmdline_test

import (
	"math"
	"testing"
	"time"

	"mesh/tools/cmdline"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	const none, day = time.Duration(math.MinInt64), 24 * time.Hour
	for _, tt := range []struct {
		text string
		want time.Duration
	}{
		{"0", 0},
		{"0d", 0},
		{"30s", 30 * time.Second},
		{"1h30m", 90 * time.Minute},
		{"1d", day},
		{"1d0s", day},
		{"1d12h", 36 * time.Hour},
		{"30d", 30 * day},
		{"-1s", -time.Second},
		{"106751d", 106751 * day},
		{"106751d23h47m16.854775807s", math.MaxInt64},
		{"106751d23h47m16.854775808s", none},
		{"106752d", none},
		{"18446744073709551616d", none},
		{"", none},
		{"d", none},
		{"1", none},
		{"1 d", none},
		{"-1d", none},
		{"+1d", none},
		{"1d-1s", none},
		{"1d+1s", none},
		{"1.5d", none},
		{"1h1d", none},
		{"1d1d", none},
		{"1D", none},
		{"soon", none},
	} {
		var d cmdline.Duration
		err := d.Set(tt.text)
		switch got := time.Duration(d); {
		case tt.want == none && err == nil:
			t.Errorf("%q: got %v, want an error", tt.text, got)
		case tt.want != none && (err != nil || got != tt.want):
			t.Errorf("%q: got %v and %v, want %v", tt.text, got, err, tt.want)
		}
		if back, err := time.ParseDuration(d.String()); err != nil || back != time.Duration(d) {
			t.Errorf("%q: got %q back, want what time reads as %v", tt.text, d.String(), time.Duration(d))
		}
	}
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 40 * time.Millisecond: "0s", 1234 * time.Millisecond: "1.2s", 42400 * time.Millisecond: "42s",
		10 * time.Minute: "10m", 150 * time.Second: "2m30s", 6 * time.Hour: "6h", 6*time.Hour - 20*time.Second: "6h",
		90 * time.Minute: "1h30m", 10*time.Hour + 10*time.Minute: "10h10m", 49 * time.Hour: "49h",
	} {
		if got := cmdline.ShortDuration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
