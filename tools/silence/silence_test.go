package silence_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/job"
	"mesh/tools/notify"
	"mesh/tools/silence"
)

// told collects messages.
type told struct {
	mu   sync.Mutex
	list []notify.Message
}

func (t *told) tell(m notify.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, m)
}

// messages returns the messages that take has not taken.
func (t *told) messages() []notify.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// take returns what was told since the last call: kind and words.
func (t *told) take() (words []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.list {
		words = append(words, string(m.Kind)+": "+m.Words)
	}
	t.list = nil
	return words
}

func (t *told) want(tb testing.TB, when string, want ...string) {
	tb.Helper()
	if got := t.take(); strings.Join(got, "|") != strings.Join(want, "|") {
		tb.Errorf("%s: got %q, want %q", when, got, want)
	}
}

var nas = silence.Watch{Kind: silence.Peer, Name: "nas", Expect: 26 * time.Hour}

// begin runs an alarm in virtual time.
func begin(t *testing.T, dir string, to *told, watches ...silence.Watch) (a *silence.Alarm, stop func()) {
	t.Helper()
	a = silence.New(dir, watches, to.tell, func() time.Duration { return 24 * time.Hour }, func(err error) { t.Error(err) })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	return a, func() {
		cancel()
		wg.Wait()
	}
}

func pass(d time.Duration) { <-time.After(d) }

// A peer that is late is told once, again each day, and when it has come.
func TestOverdue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to told
		a, stop := begin(t, dir, &to, nas)
		defer stop()
		pass(25 * time.Hour)
		to.want(t, "before the time")
		a.Arrived([]string{"nas"}, nil)
		pass(25 * time.Hour)
		to.want(t, "before the second time")
		pass(2 * time.Hour)
		to.want(t, "after it", "overdue: nothing from nas for 26 h")
		if all, err := silence.Read(dir); err != nil || len(all) != 1 || !all[0].Overdue || all[0].Name != "nas" || all[0].Last.IsZero() || all[0].Expect != nas.Expect {
			t.Errorf("got %+v, %v", all, err)
		}
		pass(23 * time.Hour)
		to.want(t, "on the same day")
		pass(2 * time.Hour)
		to.want(t, "after a day", "overdue: nothing from nas for 2 days")
		a.Arrived([]string{"bob"}, nil)
		to.want(t, "another peer")
		a.Arrived([]string{"laptop", "nas"}, nil)
		to.want(t, "it comes", "came: nas came after 2 days")
		a.Arrived([]string{"nas"}, nil)
		pass(26 * time.Hour)
		to.want(t, "and again")
		if all, _ := silence.Read(dir); len(all) != 1 || all[0].Overdue {
			t.Errorf("got %+v", all)
		}
		a.Set(nil)
		pass(48 * time.Hour)
		to.want(t, "nothing is expected")
		if all, _ := silence.Read(dir); len(all) != 0 {
			t.Errorf("got %+v", all)
		}
	})
}

// Two inboxes with one state folder: what comes to one of them is no silence at the other.
func TestTwoInboxes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to, toOther told
		a, stop := begin(t, dir, &to, nas)
		defer stop()
		_, stopOther := begin(t, dir, &toOther, nas)
		defer stopOther()
		for range 3 {
			pass(25 * time.Hour)
			a.Arrived([]string{"nas"}, nil)
		}
		pass(2 * time.Minute)
		to.want(t, "where it comes")
		toOther.want(t, "at the other one")
		pass(27 * time.Hour)
		to.want(t, "late", "overdue: nothing from nas for 26 h")
		toOther.want(t, "late at the other one", "overdue: nothing from nas for 26 h")
		a.Arrived([]string{"nas"}, nil)
		pass(2 * time.Minute)
		to.want(t, "it comes", "came: nas came after 27 h")
		toOther.want(t, "it comes to the other one", "came: nas came after 27 h")
	})
}

// A message without names has none, whatever the name is.
func TestNameless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var to told
		_, stop := begin(t, t.TempDir(), &to, silence.Watch{Kind: silence.Peer, Name: "thing", Expect: time.Hour})
		defer stop()
		pass(90 * time.Minute)
		all := to.messages()
		if len(all) != 1 || all[0].Words != "nothing from thing for 1 h" || all[0].NamelessWords != "nothing from a peer for 1 h" {
			t.Errorf("got %+v", all)
		}
	})
}

// What never came counts from when it was first expected.
func TestNever(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to told
		_, stop := begin(t, dir, &to, nas)
		pass(20 * time.Hour)
		stop()
		_, stop = begin(t, dir, &to, nas)
		defer stop()
		pass(5 * time.Hour)
		to.want(t, "before the time")
		pass(2 * time.Hour)
		if len(to.messages()) != 1 || !strings.Contains(to.messages()[0].Says, "Nothing has come since ") || !strings.Contains(to.messages()[0].Says, "It is expected every 26 h.") {
			t.Errorf("got %+v", to.messages())
		}
	})
}

// With expect-name only a file of that name counts.
func TestName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to told
		w := nas
		w.Pattern = "db-*"
		a, stop := begin(t, dir, &to, w)
		defer stop()
		pass(27 * time.Hour)
		to.want(t, "nothing came", "overdue: nothing from nas for 26 h")
		for _, names := range [][]string{nil, {"web.tar"}, {"xdb-1", "a/web"}} {
			a.Arrived([]string{"nas"}, names)
			to.want(t, strings.Join(names, " "))
		}
		a.Arrived([]string{"nas"}, []string{"web.tar", "sub/db-2026-11-28.dump"})
		to.want(t, "the file", "came: nas came after 27 h")
	})
	for pattern, want := range map[string]proto.Code{"db-*": proto.OK, "[a-z]?": proto.OK, "[": proto.Usage, "": proto.Usage} {
		xtest.WantCode(t, pattern, silence.CheckPattern(pattern), want)
	}
}

// After its own start the alarm gives senders 10 minutes, and says when it was down.
func TestDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to told
		a, stop := begin(t, dir, &to, nas)
		a.Arrived([]string{"nas"}, nil)
		pass(time.Hour)
		stop()
		downFrom := time.Now()
		pass(30 * time.Hour)
		a, stop = begin(t, dir, &to, nas)
		downTo := time.Now()
		pass(9 * time.Minute)
		to.want(t, "after the start")
		pass(2 * time.Minute)
		if len(to.messages()) != 1 || !strings.Contains(to.messages()[0].Says, "was itself down from "+notify.At(downFrom)+" to "+notify.At(downTo)) {
			t.Errorf("got %+v, want the time %v to %v", to.messages(), downFrom, downTo)
		}
		to.take()
		a.Arrived([]string{"nas"}, nil)
		to.take()
		pass(27 * time.Hour)
		if len(to.messages()) != 1 || strings.Contains(to.messages()[0].Says, "down") {
			t.Errorf("got %+v, want nothing of a time that is long past", to.messages())
		}
		stop()
		to.take()
		// A restart does not repeat the alarm.
		_, stop = begin(t, dir, &to, nas)
		pass(time.Hour)
		to.want(t, "after a restart")
		stop()
		// It comes while an alarm is due after the start.
		pass(72 * time.Hour)
		a, stop = begin(t, dir, &to, nas)
		pass(5 * time.Minute)
		a.Arrived([]string{"nas"}, nil)
		if got := to.take(); len(got) != 1 || !strings.HasPrefix(got[0], "came: nas came after ") {
			t.Errorf("got %q", got)
		}
		stop()
	})
}

// A machine that slept, and a clock that was set.
func TestClock(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		what string
		jump time.Duration
		at   time.Duration // of the look after the jump
		want string
	}{
		{"asleep for two days, at once", 48 * time.Hour, 0, ""},
		{"asleep for two days, 9 minutes later", 48 * time.Hour, 9 * time.Minute, ""},
		{"asleep for two days, 11 minutes later", 48 * time.Hour, 11 * time.Minute, "overdue: nothing from nas for 2 days"},
		{"asleep for an hour", time.Hour, 11 * time.Minute, ""},
		{"set back by a day", -24 * time.Hour, 11 * time.Minute, ""},
		{"set back by a day, a day later", -24 * time.Hour, 25 * time.Hour, ""},
		{"set back by a day, 27 hours later", -24 * time.Hour, 27 * time.Hour, "overdue: nothing from nas for 26 h"},
		{"set back by years", -100_000 * time.Hour, 27 * time.Hour, "overdue: nothing from nas for 26 h"},
	} {
		var to told
		a := silence.New(t.TempDir(), []silence.Watch{nas}, to.tell, func() time.Duration { return 0 }, func(err error) { t.Error(err) })
		now := begun
		for range 10 {
			a.Look(now)
			now = now.Add(time.Minute)
		}
		now = now.Add(tt.jump)
		end := now.Add(tt.at)
		for ; !now.After(end); now = now.Add(time.Minute) {
			a.Look(now)
			if len(to.messages()) > 0 {
				break
			}
		}
		if tt.want == "" {
			to.want(t, tt.what)
		} else {
			to.want(t, tt.what, tt.want)
		}
	}
}

// A job of this machine is expected to succeed.
func TestJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var to told
		run := func(err error) {
			l, lerr := job.Acquire(t.Context(), dir, "db", 0)
			if lerr != nil {
				t.Fatal(lerr)
			}
			defer l.Release()
			s, _ := l.State()
			if err := l.Save(s.Begin("db", time.Now()).End(time.Now(), time.Second, err)); err != nil {
				t.Fatal(err)
			}
		}
		_, stop := begin(t, dir, &to, silence.Watch{Kind: silence.Job, Name: "db", Expect: 26 * time.Hour})
		defer stop()
		pass(24 * time.Hour)
		run(nil)
		pass(24 * time.Hour)
		run(proto.Errorf(proto.Unreachable, "no answer"))
		to.want(t, "a failure on the second day")
		pass(3 * time.Hour)
		to.want(t, "without a success", "overdue: nothing from job db for 26 h")
		run(nil)
		pass(2 * time.Minute)
		to.want(t, "a success", "came: job db came after 27 h")
	})
}

// A file that is not whole, as a crash may leave it, is as none.
func TestNotWhole(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"expected":3}`, "\x00"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, silence.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var to told
		a := silence.New(dir, []silence.Watch{nas}, to.tell, func() time.Duration { return 0 }, func(err error) { t.Error(err) })
		a.Look(time.Now())
		a.Arrived([]string{"nas"}, nil)
		if all, err := silence.Read(dir); err != nil || len(all) != 1 || all[0].Last.IsZero() {
			t.Errorf("%q: got %+v, %v", text, all, err)
		}
	}
}
