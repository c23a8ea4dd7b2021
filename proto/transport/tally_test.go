package transport

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However many strangers come, the log gets the first at once and then one line a
// minute, which has their number.
func TestTally(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var tl tally
		lines := func() int { return strings.Count(out.String(), "\n") }
		for range 60 {
			for range 1000 {
				tl.note(log, "192.0.2.7:1", errors.New("noise"))
			}
			<-time.After(time.Second)
			synctest.Wait()
		}
		if got := lines(); got != 2 || !strings.Contains(out.String(), "count=59999") {
			t.Errorf("got %d lines after a minute, want 2 with the number: %s", got, out.String())
		}
		<-time.After(5 * time.Minute)
		if got := lines(); got != 2 {
			t.Errorf("got %d lines after a quiet time, want 2", got)
		}
		tl.note(log, "192.0.2.7:1", errors.New("noise"))
		tl.note(log, "192.0.2.7:1", errors.New("noise"))
		tl.flush(log)
		if got := lines(); got != 4 {
			t.Errorf("got %d lines at the end, want 4: %s", got, out.String())
		}
	})
}
