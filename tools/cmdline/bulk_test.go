package cmdline_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"mesh/tools/cmdline"
)

// gcPercent returns the percentage in effect.
func gcPercent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// The variables of the Go runtime take precedence.
func TestBulk(t *testing.T) {
	procs, percent := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	defer func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(percent)
	}()
	for _, test := range []struct {
		env     string
		procs   int
		percent uint64
	}{
		{"2", 2, 100},
		{"", 1, 25},
	} {
		t.Setenv("GOMAXPROCS", test.env)
		t.Setenv("GOGC", test.env)
		runtime.GOMAXPROCS(2)
		cmdline.Bulk()
		if n := runtime.GOMAXPROCS(0); n != test.procs {
			t.Errorf("GOMAXPROCS %q: got %d, want %d", test.env, n, test.procs)
		}
		for end := time.Now().Add(10 * time.Second); gcPercent() != test.percent && time.Now().Before(end); {
			runtime.GC()
		}
		if n := gcPercent(); n != test.percent {
			t.Errorf("GOGC %q: got %d behind a collection, want %d", test.env, n, test.percent)
		}
	}
}
