package runs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/runs"
)

func streams(stderr io.Writer) cmdline.Streams {
	return cmdline.Streams{Name: "mesh-cat", Out: io.Discard, Err: stderr}
}

// Of all codes, those of the class 1x are tried again.
func TestRetryCodes(t *testing.T) {
	t.Parallel()
	again := map[proto.Code]bool{proto.Unreachable: true, proto.Timeout: true, proto.Truncated: true, proto.Busy: true}
	for _, i := range proto.Codes {
		if i.Code == proto.OK {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			o := runs.Options{RetryFor: time.Hour}
			err := o.Run(t.Context(), streams(io.Discard), func(_ context.Context, try runs.Try) (runs.Facts, error) {
				if tries++; try.N != tries {
					t.Errorf("got try %d, want %d", try.N, tries)
				}
				if tries < 3 {
					return runs.Facts{}, proto.Errorf(i.Code, "no")
				}
				return runs.Facts{}, nil
			})
			if again[i.Code] && (err != nil || tries != 3) {
				t.Errorf("%v: got %v after %d tries, want a success after 3", i.Code, err, tries)
			}
			if !again[i.Code] && (proto.CodeOf(err) != i.Code || tries != 1 || err.Error() != "no") {
				t.Errorf("%v: got %v after %d tries, want it after one", i.Code, err, tries)
			}
		})
	}
}

// The pauses are random, of 5 s that double up to 5 min. The last error is told.
func TestRetryPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		last, most, tries, longest := begun, 5*time.Second, 0, time.Duration(0)
		o := runs.Options{RetryFor: 6 * time.Hour}
		err := o.Run(t.Context(), streams(io.Discard), func(context.Context, runs.Try) (runs.Facts, error) {
			pause := time.Since(last)
			if longest = max(longest, pause); tries > 0 {
				if pause >= most {
					t.Errorf("try %d: got a pause of %v, want less than %v", tries+1, pause, most)
				}
				most = min(2*most, 5*time.Minute)
			}
			tries, last = tries+1, time.Now()
			return runs.Facts{}, proto.Hint(proto.Errorf(proto.Unreachable, "no answer"), "look")
		})
		xtest.WantCode(t, "6h of tries", err, proto.Unreachable)
		took := time.Since(begun)
		if took > 6*time.Hour || took < 6*time.Hour-10*time.Minute || longest < time.Minute || tries < 72 {
			t.Errorf("got %d tries in %v with pauses of up to %v", tries, took, longest)
		}
		if want := fmt.Sprintf("no answer, after %d tries in %s", tries, cmdline.ShortDuration(took)); err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if h := proto.Hints(err); len(h) != 1 || h[0] != "look" {
			t.Errorf("got the hints %q", h)
		}
	})
}

// What ends the tool ends the pause too, and a deadline that has run out is no reason to
// try again.
func TestRetryStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := proto.Errorf(proto.Timeout, "the deadline of 1m ran out")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, late)
		defer cancel()
		begun := time.Now()
		o := runs.Options{RetryFor: time.Hour}
		err := o.Run(ctx, streams(io.Discard), func(context.Context, runs.Try) (runs.Facts, error) {
			return runs.Facts{}, proto.Errorf(proto.Busy, "full")
		})
		if !errors.Is(err, late) || time.Since(begun) != time.Minute {
			t.Errorf("got %v after %v, want %v after 1m", err, time.Since(begun), late)
		}
	})
}

func load(t *testing.T, dir string) job.State {
	t.Helper()
	s, _, err := job.Load(dir, "db")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := runs.Options{Job: "db", State: dir, RetryFor: time.Hour}
		err := o.Run(t.Context(), streams(io.Discard), func(_ context.Context, try runs.Try) (runs.Facts, error) {
			if s := load(t, dir); !s.Running || s.Begun.IsZero() || !s.Ended.IsZero() {
				t.Errorf("got %+v of a run that goes on", s)
			}
			if try.N < 3 {
				return runs.Facts{Peer: "nas"}, proto.Errorf(proto.Truncated, "cut")
			}
			if got := strings.Join(try.Env(), " "); got != "MESH_TRY=3" || try.Job != "db" {
				t.Errorf("got %q and job %q", got, try.Job)
			}
			return runs.Facts{Peer: "nas", Bytes: 42}, proto.Errorf(proto.Producer, "the command ended with status 1")
		})
		xtest.WantCode(t, "the third try", err, proto.Producer)
		s := load(t, dir)
		if s.Code != 33 || s.Tries != 3 || s.Peer != "nas" || s.Bytes != 42 || s.Failures != 1 || s.Running || !strings.HasPrefix(s.Error, "the command ended with status 1, after 3 tries in ") || s.Seconds <= 0 {
			t.Errorf("got %+v", s)
		}
		err = o.Run(t.Context(), streams(io.Discard), func(context.Context, runs.Try) (runs.Facts, error) { return runs.Facts{}, nil })
		if s := load(t, dir); err != nil || s.Code != 0 || s.Failures != 0 || s.LastSuccess.IsZero() || s.Error != "" || s.Tries != 1 {
			t.Errorf("got %v, %+v", err, s)
		}
	})
}

// What the tries share is closed once, after the last one, and the state says what came of
// that: the exit code of the tool.
func TestClose(t *testing.T) {
	t.Parallel()
	full := proto.Errorf(proto.IO, "write events: no space left on device")
	for _, tt := range []struct {
		what       string
		job        string
		last, ends error
	}{
		{"all is well", "db", nil, nil},
		{"only the close fails", "db", nil, full},
		{"the transfer fails", "db", proto.Errorf(proto.Denied, "no"), proto.Errorf(proto.Denied, "no")},
		{"no job", "", nil, full},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			tries, closes := 0, 0
			o := runs.Options{Job: tt.job, State: dir}
			if tt.job != "" {
				o.RetryFor = time.Hour
			}
			o.Close = func(err error) error {
				if closes++; !errors.Is(err, tt.last) {
					t.Errorf("%s: closed with %v, want %v", tt.what, err, tt.last)
				}
				if tt.job != "" && !load(t, dir).Running {
					t.Errorf("%s: the state says that the run has ended before the close", tt.what)
				}
				return tt.ends
			}
			err := o.Run(t.Context(), streams(io.Discard), func(context.Context, runs.Try) (runs.Facts, error) {
				if tries++; tt.job != "" && tries < 3 {
					return runs.Facts{}, proto.Errorf(proto.Busy, "full")
				}
				return runs.Facts{}, tt.last
			})
			if proto.CodeOf(err) != proto.CodeOf(tt.ends) || closes != 1 {
				t.Errorf("%s: got %v and %d closes, want %v and one", tt.what, err, closes, tt.ends)
			}
			if tt.job != "" {
				if got, want := load(t, dir).Code, int(proto.CodeOf(tt.ends)); got != want {
					t.Errorf("%s: the state says %d, want %d", tt.what, got, want)
				}
			}
		})
	}
}

// A second run ends with 13, is not tried again, and leaves the state of the first alone.
func TestJobTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := runs.Options{Job: "db", State: dir, RetryFor: time.Hour}
		err := o.Run(t.Context(), streams(io.Discard), func(ctx context.Context, _ runs.Try) (runs.Facts, error) {
			before, begun := load(t, dir), time.Now()
			err := o.Run(ctx, streams(io.Discard), func(context.Context, runs.Try) (runs.Facts, error) {
				t.Error("the second run has begun")
				return runs.Facts{}, nil
			})
			xtest.WantCode(t, "the second run", err, proto.Busy)
			if !errors.Is(err, job.ErrRunning) || time.Since(begun) > time.Second {
				t.Errorf("got %v after %v, want %v at once", err, time.Since(begun), job.ErrRunning)
			}
			if got := load(t, dir); got != before {
				t.Errorf("got %+v, want %+v", got, before)
			}
			return runs.Facts{}, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A run that was killed is told of by the next.
func TestJobKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := job.Acquire(t.Context(), dir, "db", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Save(job.State{}.Begin("db", time.Now())); err != nil {
		t.Fatal(err)
	}
	l.Release()
	var stderr strings.Builder
	err = runs.Options{Job: "db", State: dir}.Run(t.Context(), streams(&stderr), func(context.Context, runs.Try) (runs.Facts, error) {
		if s := load(t, dir); s.Failures != 1 {
			t.Errorf("got %+v, want one failure", s)
		}
		return runs.Facts{}, nil
	})
	if err != nil || !strings.Contains(stderr.String(), "mesh-cat: warning: job db: the run of ") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("got %v and %q", err, stderr.String())
	}
}

// Without the flags there is one call, and no file.
func TestPlain(t *testing.T) {
	t.Parallel()
	calls := 0
	want := proto.Errorf(proto.Busy, "full")
	err := runs.Options{State: "/nonexistent"}.Run(t.Context(), streams(nil), func(context.Context, runs.Try) (runs.Facts, error) {
		calls++
		return runs.Facts{}, want
	})
	if err != want || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	ok, late := runs.Branch{Peer: "nas"}, runs.Branch{Peer: "cloud", Err: proto.Errorf(proto.Timeout, "late")}
	full := runs.Branch{Peer: "box", Err: proto.Errorf(proto.Space, "full")}
	for _, tt := range []struct {
		branches []runs.Branch
		want     string
	}{
		{nil, ""},
		{[]runs.Branch{ok, ok}, ""},
		{[]runs.Branch{ok, late}, "1 of 2: cloud failed: timeout (11)"},
		{[]runs.Branch{full, ok, late}, "1 of 3: box failed: space (41), cloud failed: timeout (11)"},
	} {
		if got := (runs.Facts{Branches: tt.branches}).Missed(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.branches, got, tt.want)
		}
	}
}
