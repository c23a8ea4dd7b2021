package progress_test

import (
	"testing"
	"time"

	"mesh/pipe/progress"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var m progress.Meter
	if _, known := m.Left(1); known || m.Rate() != 0 {
		t.Error("a rate is known before the start")
	}
	add := func(from, to time.Duration, bytes int64, rate int64) int64 {
		for at := from; at < to; at += 200 * time.Millisecond {
			bytes += rate / 5
			m.Add(start.Add(at), bytes)
		}
		return bytes
	}
	bytes := add(0, 5*time.Second, 0, 1000)
	if got := m.Rate(); got < 990 || got > 1010 {
		t.Errorf("after 5 s: got %v bytes/s, want 1000", got)
	}
	if got, known := m.Left(10_000); !known || got.Round(time.Second) != 10*time.Second {
		t.Errorf("10000 bytes left: got %v, %v, want 10s", got, known)
	}
	// A new rate counts alone once it has lasted for 10 seconds.
	bytes = add(5*time.Second, 17*time.Second, bytes, 5000)
	if got := m.Rate(); got < 4900 || got > 5100 {
		t.Errorf("12 s later: got %v bytes/s, want 5000", got)
	}
	bytes = add(17*time.Second, 29*time.Second, bytes, 0)
	if _, known := m.Left(1); known || m.Rate() != 0 {
		t.Errorf("12 s without progress: got %v bytes/s, want 0", m.Rate())
	}
	if got, known := m.Left(0); !known || got != 0 {
		t.Errorf("nothing left: got %v, %v, want 0", got, known)
	}
	add(29*time.Second, 31*time.Second, bytes, 5)
	if got, known := m.Left(1 << 62); known {
		t.Errorf("2^62 bytes left: got %v, want it to be unknown", got)
	}
}
