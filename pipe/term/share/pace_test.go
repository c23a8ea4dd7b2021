package share_test

import (
	"testing"
	"time"

	"mesh/pipe/term/share"
)

// A viewer that looks on for days is remembered no longer than its last moment,
// also when it is never asked how much more it may be sent: always raw, or always
// behind.
func TestPaceForgets(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{true, false} {
		if held, err := share.Held(raw, 100_000, time.Millisecond); err != nil || held > 200 {
			t.Errorf("raw %v: %d frames of 100000 are remembered (%v), want at most 200", raw, held, err)
		}
	}
}
