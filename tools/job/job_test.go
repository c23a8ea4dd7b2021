package job_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/job"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for name, ok := range map[string]bool{
		"db": true, "a": true, "0.9_x-y": true, "...": true, "-": true, long: true,
		"": false, ".": false, "..": false, "DB": false, "a/b": false, `a\b`: false, "a b": false, "ä": false, "a\n": false, "a\x00": false, long + "a": false,
	} {
		want := proto.OK
		if !ok {
			want = proto.Usage
		}
		xtest.WantCode(t, name, job.CheckName(name), want)
	}
}

func acquire(t *testing.T, dir string) *job.Lock {
	t.Helper()
	l, err := job.Acquire(t.Context(), dir, "db", 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	l := acquire(t, dir)
	_, err := job.Acquire(t.Context(), dir, "db", 0)
	xtest.WantCode(t, "a second run", err, proto.Busy)
	if !errors.Is(err, job.ErrRunning) {
		t.Errorf("got %v, want %v", err, job.ErrRunning)
	}
	for _, part := range []string{"job db is running since " + time.Now().Format("15:"), "(pid "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want %q in it", err, part)
		}
	}
	other, err := job.Acquire(t.Context(), dir, "web", 0)
	if err != nil {
		t.Fatalf("another job: %v", err)
	}
	other.Release()
	l.Release()
	acquire(t, dir).Release()
}

// A run that waits gets the lock when the other one ends, and not before.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := acquire(t, dir)
		begun := time.Now()
		_, err := job.Acquire(t.Context(), dir, "db", time.Hour)
		xtest.WantCode(t, "the run goes on", err, proto.Busy)
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("waited for %v, want 1h", got)
		}
		go func() {
			<-time.After(20 * time.Minute)
			l.Release()
		}()
		begun = time.Now()
		second, err := job.Acquire(t.Context(), dir, "db", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); got < 20*time.Minute || got > 20*time.Minute+2*time.Second {
			t.Errorf("waited for %v, want 20m", got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		go func() {
			<-time.After(time.Minute)
			cancel(stopped)
		}()
		if _, err := job.Acquire(ctx, dir, "db", time.Hour); !errors.Is(err, stopped) {
			t.Errorf("got %v, want %v", err, stopped)
		}
		second.Release()
	})
}

// The question whether a job runs takes the lock for an instant. No run that begins then
// is refused.
func TestListBesideAcquire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := acquire(t, dir)
	if err := l.Save(job.State{}.Begin("db", time.Now())); err != nil {
		t.Fatal(err)
	}
	l.Release()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := job.List(dir); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 100 {
		acquire(t, dir).Release()
	}
	cancel()
	<-done
}

func load(t *testing.T, dir string) job.State {
	t.Helper()
	s, found, err := job.Load(dir, "db")
	if err != nil || !found {
		t.Fatalf("got %+v, %v, %v", s, found, err)
	}
	return s
}

func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if states, err := job.List(dir); len(states) > 0 || err != nil {
		t.Errorf("got %+v, %v before the first run", states, err)
	}
	at := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	failure := proto.Errorf(proto.Unreachable, "no answer from mesh1%s", strings.Repeat("A", 80))

	l := acquire(t, dir)
	s, err := l.State()
	if err != nil || !s.Begun.IsZero() {
		t.Errorf("got %+v, %v before the first run", s, err)
	}
	s = s.Begin("db", at)
	if err := l.Save(s); err != nil {
		t.Fatal(err)
	}
	if got := load(t, dir); !got.Running || got.PID != os.Getpid() || got.Killed() || !got.Begun.Equal(at) {
		t.Errorf("got %+v of a run that goes on", got)
	}
	if err := l.Save(s.End(at.Add(time.Hour), time.Minute, failure)); err != nil {
		t.Fatal(err)
	}
	l.Release()
	got := load(t, dir)
	if got.Running || got.Killed() || got.Code != int(proto.Unreachable) || got.Failures != 1 || got.Seconds != 60 || !got.FirstFailure.Equal(at.Add(time.Hour)) {
		t.Errorf("got %+v of a run that failed", got)
	}
	if strings.Contains(got.Error, "AAAA") || !strings.Contains(got.Error, "no answer") {
		t.Errorf("got the error %q, want it without the token", got.Error)
	}

	// The clock is set back by a day, and the run is killed.
	back := at.Add(-24 * time.Hour)
	l = acquire(t, dir)
	if err := l.Save(got.Begin("db", back)); err != nil {
		t.Fatal(err)
	}
	l.Release()
	got = load(t, dir)
	if !got.Killed() {
		t.Errorf("got %+v, want a run that was killed", got)
	}
	got = got.Begin("db", back.Add(time.Hour))
	if got.Failures != 2 || !got.FirstFailure.Equal(at.Add(time.Hour)) {
		t.Errorf("got %+v, want two failures", got)
	}
	got = got.End(back.Add(2*time.Hour), time.Hour, nil)
	if got.Failures != 0 || !got.FirstFailure.IsZero() || !got.LastSuccess.Equal(back.Add(2*time.Hour)) || got.Code != 0 || got.Error != "" {
		t.Errorf("got %+v after a success", got)
	}
}

// A state that is not whole, or that is not a state of the job, is as absent.
func TestStateNotWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := acquire(t, dir)
	defer l.Release()
	if err := l.Save(job.State{}.Begin("db", time.Now())); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "jobs", "db.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	web := strings.Replace(string(whole), `"db"`, `"web"`, 1)
	for _, text := range []string{"", "{}", "null", "[]", string(whole[:len(whole)/2]), string(whole[:len(whole)-3]), web, "\x00\x00"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, found, err := job.Load(dir, "db"); found || err != nil {
			t.Errorf("%q: got %+v, %v, %v", text, s, found, err)
		}
		if s, err := l.State(); !s.Begun.IsZero() || err != nil {
			t.Errorf("%q: got %+v, %v", text, s, err)
		}
		if all, err := job.List(dir); len(all) > 0 || err != nil {
			t.Errorf("%q: got %+v, %v", text, all, err)
		}
	}
	// A newer version may know more.
	newer := strings.Replace(string(whole), "{", `{"later":1,`, 1)
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, dir)
}

func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"web", "db"} {
		l, err := job.Acquire(t.Context(), dir, name, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Save(job.State{}.Begin(name, time.Now()).End(time.Now(), 0, nil)); err != nil {
			t.Fatal(err)
		}
		l.Release()
	}
	for _, other := range []string{"README", "Up.json", ".db.json.12345678.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, "jobs", other), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := job.List(dir)
	if err != nil || len(got) != 2 || got[0].Name != "db" || got[1].Name != "web" {
		t.Errorf("got %+v, %v, want db and web", got, err)
	}
}
