package cmdline_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"mesh/tools/cmdline"
)

// What the environment says of the runtime comes first.
func TestBulk(t *testing.T) {
	procs, percent := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	defer func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(percent)
	}()
	for _, test := range []struct {
		env            string
		procs, percent int
	}{
		{"2", 2, 100},
		{"", 1, 25},
	} {
		t.Setenv("GOMAXPROCS", test.env)
		t.Setenv("GOGC", test.env)
		runtime.GOMAXPROCS(2)
		debug.SetGCPercent(100)
		cmdline.Bulk()
		if n := runtime.GOMAXPROCS(0); n != test.procs {
			t.Errorf("GOMAXPROCS %q: got %d, want %d", test.env, n, test.procs)
		}
		if n := debug.SetGCPercent(100); n != test.percent {
			t.Errorf("GOGC %q: got %d, want %d", test.env, n, test.percent)
		}
	}
}
