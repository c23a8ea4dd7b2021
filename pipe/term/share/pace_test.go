package share_test

import (
	"testing"
	"time"

	"mesh/pipe/term/share"
)

// A pace does not grow with the time of a view, also if room is never called: for a raw
// viewer, or one that is always behind.
func TestPaceForgets(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{true, false} {
		if held, err := share.Held(raw, 100_000, time.Millisecond); err != nil || held > 200 {
			t.Errorf("raw %v: %d frames of 100000 are remembered (%v), want at most 200", raw, held, err)
		}
	}
}
