package sharing

import "testing"

// The error names the stream that is no terminal.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, out bool
		want    string
	}{
		{false, false, "standard input and output are not a terminal"},
		{true, false, "standard output is not a terminal"},
		{false, true, "standard input is not a terminal"},
	} {
		if got := noTerminal(tt.in, tt.out).Error(); got != tt.want {
			t.Errorf("input %v, output %v: got %q, want %q", tt.in, tt.out, got, tt.want)
		}
	}
}
