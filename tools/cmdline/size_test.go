package cmdline_test

import (
	"testing"

	"mesh/tools/cmdline"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want int64 // -1 for none
		back string
	}{
		{"0", 0, "0"},
		{"1", 1, "1"},
		{"1023", 1023, "1023"},
		{"1024", 1024, "1K"},
		{"1K", 1024, "1K"},
		{"16M", 16 << 20, "16M"},
		{"16MiB", 16 << 20, "16M"},
		{"1536K", 1536 << 10, "1536K"},
		{"3G", 3 << 30, "3G"},
		{"2T", 2 << 40, "2T"},
		{"9223372036854775807", 1<<63 - 1, "9223372036854775807"},
		{"9223372036854775808", -1, ""},
		{"8388608T", -1, ""},
		{"8388607T", 8388607 << 40, "8388607T"},
		{"", -1, ""},
		{"M", -1, ""},
		{"iB", -1, ""},
		{"1iB", -1, ""},
		{"1m", -1, ""},
		{"1MB", -1, ""},
		{"1.5M", -1, ""},
		{"-1", -1, ""},
		{"+1", -1, ""},
		{" 1", -1, ""},
		{"0x10", -1, ""},
	} {
		var s cmdline.Size
		err := s.Set(c.text)
		switch {
		case c.want < 0 && err == nil:
			t.Errorf("%q: got %d, want an error", c.text, s)
		case c.want >= 0 && (err != nil || int64(s) != c.want || s.String() != c.back):
			t.Errorf("%q: got %d, %q (%v), want %d, %q", c.text, s, s.String(), err, c.want, c.back)
		}
	}
}
