//go:build unix

package measure_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"mesh/scripts/internal/measure"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		status int
	}{
		"success": {"exit 0", 0},
		"failure": {"echo why >&2; exit 3", 3},
		"signal":  {"kill -TERM $$", 128 + 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := measure.Start(t.Context(), exec.Command("sh", "-c", test.script), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Wait()
			if got := p.Status(); got != test.status || (err == nil) != (test.status == 0) {
				t.Errorf("got status %d and error %v, want %d", got, err, test.status)
			}
			if test.status == 3 && !strings.Contains(err.Error(), "why") {
				t.Errorf("got %v, want an error with what is on stderr", err)
			}
			if p.Ended.Before(p.Began) {
				t.Errorf("ended at %v, began at %v", p.Ended, p.Began)
			}
		})
	}
}

func TestProcessStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := measure.Start(ctx, exec.Command("sleep", "1000"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if p.Wait(); p.Status() != 128+9 {
		t.Errorf("got status %d, want that of SIGKILL", p.Status())
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	if got, err := measure.Output(exec.Command("echo", "text")); got != "text\n" || err != nil {
		t.Errorf("got %q and %v, want a line", got, err)
	}
	if _, err := measure.Output(exec.Command("false")); err == nil {
		t.Error("got no error from a command that fails")
	}
}

func TestNeed(t *testing.T) {
	t.Parallel()
	if err := measure.Need("sh"); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if _, ok := errors.AsType[measure.Missing](measure.Need("sh", "no-such-program")); !ok {
		t.Error("got no Missing error for a program that is not installed")
	}
}

func TestStartReady(t *testing.T) {
	t.Parallel()
	asked := 0
	ready := func(*measure.Process) bool { asked++; return asked == 3 }
	p, err := measure.StartReady(t.Context(), exec.Command("sleep", "1000"), nil, ready)
	if err != nil || asked != 3 {
		t.Fatalf("got error %v after %d questions, want none after 3", err, asked)
	}
	if p.Stop(); p.Status() != 128+15 {
		t.Errorf("got status %d after Stop, want that of SIGTERM", p.Status())
	}
	_, err = measure.StartReady(t.Context(), exec.Command("sh", "-c", "echo why >&2; exit 1"), nil, func(*measure.Process) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("got error %v from a command that ends before it is ready, want one with its stderr", err)
	}
}
