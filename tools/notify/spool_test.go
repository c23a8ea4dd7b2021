package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/tools/notify"
)

func waiting(t *testing.T, state string, want int) {
	t.Helper()
	got := 0
	for _, c := range notify.States(state) {
		got += c.Waiting
	}
	if got != want {
		t.Errorf("%d messages wait, want %d", got, want)
	}
}

// All servers hang at once: that costs 5 s after the end of a run, and 3 s after SIGTERM.
func TestTime(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		before, after error // what has ended the context before the run's end, or 1 s after it
		want          time.Duration
	}{
		"at the end":         {want: 5 * time.Second},
		"after the deadline": {before: proto.Errorf(proto.Timeout, "deadline"), want: 5 * time.Second},
		"after SIGTERM":      {before: proto.Errorf(proto.Terminated, "ended"), want: 3 * time.Second},
		"SIGTERM meanwhile":  {after: proto.Errorf(proto.Terminated, "ended"), want: 4 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, stop := newServer(hang)
			defer stop()
			state := t.TempDir()
			settings := notify.Settings{Repeat: notify.DefaultRepeat}
			for _, c := range channels(t, "http://localhost") {
				settings.Channels = append(settings.Channels, c.Over(s.dial))
			}
			n := notify.New(settings, state, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tt.before != nil {
				cancel(tt.before)
			}
			if tt.after != nil {
				time.AfterFunc(time.Second, func() { cancel(tt.after) })
			}
			begun := time.Now()
			n.Ended(ctx, failure(proto.Unreachable))
			if took := time.Since(begun); took != tt.want {
				t.Errorf("%s: took %v, want %v", what, took, tt.want)
			}
			waiting(t, state, len(settings.Channels))
		})
	}
}

// An attempt that goes on when a daemon is stopped has 3 s more.
func TestStopped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer, took time.Duration // after the beginning; after the stop, a second later
		left         int
	}{
		{2 * time.Second, time.Second, 0},
		{time.Minute, 3 * time.Second, 1},
	} {
		answer := func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(tt.answer):
			case <-r.Context().Done():
			}
		}
		inVirtualTime(t, answer, func(t *testing.T, _ *server, settings notify.Settings) {
			ctx, cancel := context.WithCancel(t.Context())
			state := t.TempDir()
			n := notify.NewDaemon(settings, state, nil)
			var wg sync.WaitGroup
			wg.Go(func() { n.Run(ctx) })
			n.PostEnd(failure(proto.Unreachable))
			<-time.After(time.Second)
			cancel()
			begun := time.Now()
			wg.Wait()
			if took := time.Since(begun); took != tt.took {
				t.Errorf("an answer after %s: stopped after %s, want %s", tt.answer, took, tt.took)
			}
			waiting(t, state, tt.left)
		})
	}
}

// While another process sends what waits for a channel, a run waits, and then leaves its
// message to that.
func TestLocked(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, notify.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := notify.LockChannel(t.Context(), state, notify.Webhook)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := notify.LockChannel(ctx, state, notify.Webhook); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it waits", err)
	}
	unlock()
	again, err := notify.LockChannel(t.Context(), state, notify.Webhook) // what waited gives it back
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// What is known of a channel is when it last worked, and why it does not now.
func TestStates(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, status(500), func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		if got := notify.States(state); got != nil {
			t.Errorf("before a message: got %+v", got)
		}
		begun := time.Now()
		tell := func() (at time.Time, c notify.ChannelState) {
			notify.New(settings, state, nil).Ended(t.Context(), failure(proto.Unreachable))
			got := notify.States(state)
			if len(got) != 1 || got[0].Channel != notify.Webhook {
				t.Fatalf("got %+v, want the webhook", got)
			}
			return time.Now(), got[0]
		}
		near := func(what string, got, want time.Time) {
			t.Helper()
			if got.IsZero() != want.IsZero() || want.Sub(got).Abs() > 2*time.Second {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		settings.Repeat = 0
		tell()
		<-time.After(time.Hour)
		failed, c := tell()
		near("failed", c.Failed, failed)
		near("since", c.Since, begun)
		if c.Waiting != 2 || !strings.Contains(c.Error, "500") || !c.Sent.IsZero() {
			t.Errorf("got %+v, want 2 that wait for a server that answers 500", c)
		}
		s.set(nil)
		<-time.After(time.Hour)
		sent, c := tell()
		near("sent", c.Sent, sent)
		if c.Waiting != 0 || c.Error != "" || !c.Failed.IsZero() || !c.Since.IsZero() {
			t.Errorf("got %+v, want none that wait", c)
		}
		s.set(status(503))
		<-time.After(time.Hour)
		_, c = tell()
		near("sent before", c.Sent, sent)
		if c.Waiting != 1 || !strings.Contains(c.Error, "503") {
			t.Errorf("got %+v, want one that waits", c)
		}
	})
}

// A message is tried after 1, 5 and 30 minutes, then each 2 hours, for 48 hours. The next
// one says that it was lost.
func TestSpoolTimes(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, status(500), func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		n := notify.NewDaemon(settings, state, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		begun := time.Now()
		n.PostEnd(failure(proto.Unreachable))
		<-time.After(60 * time.Hour)
		waiting(t, state, 0)
		var got []time.Duration
		for _, r := range s.got() {
			got = append(got, r.at.Sub(begun).Round(time.Minute))
		}
		want := []time.Duration{0, time.Minute, 6 * time.Minute, 36 * time.Minute}
		for at := 156 * time.Minute; at < 50*time.Hour; at += 2 * time.Hour {
			want = append(want, at)
		}
		for i, w := range want {
			// The daemon looks each minute, and a pause begins with the attempt before.
			if late := time.Duration(i+1) * time.Minute; i >= len(got) || got[i] < w || got[i] > w+late {
				t.Fatalf("got attempts at %v, want %v", got, want)
			}
		}
		if last := got[len(got)-1]; last < 48*time.Hour || last > 51*time.Hour {
			t.Errorf("the last attempt was at %v", last)
		}
		if c := n.Counts()[notify.Webhook]; c.OK != 0 || c.Failed != len(got) || c.Dropped != 1 {
			t.Errorf("got the counts %+v of %d attempts", c, len(got))
		}
		s.set(nil)
		n.PostEnd(failure(proto.IO))
		<-time.After(time.Minute)
		all := s.got()
		if text := all[len(all)-1].object(t)["text"].(string); !strings.Contains(text, "1 earlier messages could not be delivered") {
			t.Errorf("got %q", text)
		}
		n.PostEnd(failure(proto.Integrity))
		<-time.After(time.Minute)
		all = s.got()
		if text := all[len(all)-1].object(t)["text"].(string); strings.Contains(text, "earlier") {
			t.Errorf("got %q again", text)
		}
		cancel()
		wg.Wait()
	})
}

// A server that wants to be left alone is, for at most 2 h.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for after, want := range map[string]time.Duration{"600": 10 * time.Minute, "1": time.Minute, "999999": 2 * time.Hour, "soon": time.Minute} {
		inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
			s.set(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", after)
				w.WriteHeader(429)
			})
			ctx, cancel := context.WithCancel(t.Context())
			n := notify.NewDaemon(settings, t.TempDir(), nil)
			var wg sync.WaitGroup
			wg.Go(func() { n.Run(ctx) })
			n.PostEnd(failure(proto.Unreachable))
			<-time.After(want + 2*time.Minute)
			got := s.got()
			if len(got) < 2 || got[1].at.Sub(got[0].at) < want || got[1].at.Sub(got[0].at) > want+time.Minute {
				t.Errorf("Retry-After %s: got %d attempts, the second not %v after the first", after, len(got), want)
			}
			cancel()
			wg.Wait()
		})
	}
}

// Messages that wait go out as one, with the next run of a tool.
func TestMerged(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, status(500), func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		for _, code := range []proto.Code{proto.Unreachable, proto.Denied, proto.Integrity} {
			notify.New(settings, state, nil).Ended(t.Context(), failure(code))
		}
		waiting(t, state, 3)
		<-time.After(time.Hour)
		s.set(nil)
		n := len(s.got())
		notify.New(settings, state, nil).Ended(t.Context(), failure(proto.IO))
		waiting(t, state, 0)
		got := s.got()[n:]
		if len(got) != 1 {
			t.Fatalf("got %d requests, want 1", len(got))
		}
		o := got[0].object(t)
		if o["event"] != "merged" || o["count"] != 4.0 || len(o["messages"].([]any)) != 4 || o["kind"] != "failed" || strings.Count(o["text"].(string), "db failed on") != 4 {
			t.Errorf("got %s", got[0].body)
		}
	})
}

// The spool is bounded. The oldest messages go first, and are counted.
func TestSpoolBound(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, status(500), func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		folder := filepath.Join(state, notify.Folder)
		notify.New(settings, state, nil).Tell(t.Context(), notify.Message{Event: notify.EventNotify, Kind: notify.Text, Words: "a message", Says: "first"})
		names, _ := filepath.Glob(filepath.Join(folder, "webhook-*"))
		if len(names) != 1 {
			t.Fatalf("got %q", names)
		}
		text, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			name := filepath.Join(folder, fmt.Sprintf("webhook-%020d-AAAAAAAA.json", time.Now().UnixNano()+int64(i)+1))
			if err := os.WriteFile(name, bytes.Replace(text, []byte("first"), []byte("more"), 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.set(nil)
		<-time.After(time.Minute)
		notify.New(settings, state, nil).Tell(t.Context(), notify.Message{Event: notify.EventNotify, Kind: notify.Text, Words: "a message", Says: "last"})
		got := s.got()
		o := got[len(got)-1].object(t)
		words := o["text"].(string)
		if o["count"] != 1000.0 || len(o["messages"].([]any)) != 20 || !strings.Contains(words, "980 older ones") || !strings.Contains(words, "2 earlier messages") || !strings.Contains(words, "last") {
			t.Errorf("got %v messages: %s", o["count"], words)
		}
		if len(got[len(got)-1].body) > 64<<10 {
			t.Errorf("got %d bytes", len(got[len(got)-1].body))
		}
		waiting(t, state, 0)
	})
}

// Two runs that end together send what waits once.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	s := &server{}
	web := httptest.NewServer(s)
	defer web.Close()
	state := t.TempDir()
	settings := notify.Settings{Channels: []notify.Channel{{Kind: notify.Webhook, URL: web.URL}}}
	s.set(status(500))
	for range 5 {
		notify.New(settings, state, nil).Ended(t.Context(), failure(proto.Unreachable))
	}
	before := len(s.got())
	s.set(func(w http.ResponseWriter, r *http.Request) { <-time.After(50 * time.Millisecond) })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m := failure(proto.Unreachable)
			m.Subject = fmt.Sprint("job/", i)
			notify.New(settings, state, nil).Ended(t.Context(), m)
		})
	}
	wg.Wait()
	messages := 0
	for _, r := range s.got()[before:] {
		count, merged := r.object(t)["count"].(float64)
		if !merged {
			count = 1
		}
		messages += int(count)
	}
	if messages != 5+8 {
		t.Errorf("got %d messages, want %d", messages, 5+8)
	}
	waiting(t, state, 0)
}

// A run that is killed while it tells has lost nothing: the next one does it.
func TestKilled(t *testing.T) {
	const child = "MESH_TEST_NOTIFY_KILLED"
	if url := os.Getenv(child); url != "" {
		s := notify.Settings{Channels: []notify.Channel{{Kind: notify.Webhook, URL: url}}}
		notify.New(s, os.Getenv("MESH_HOME"), nil).Ended(context.Background(), failure(proto.Unreachable))
		return
	}
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no kill -9")
	}
	s, asked := &server{}, make(chan struct{}, 1)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		hang(w, r)
	})
	web := httptest.NewServer(s)
	defer web.Close()
	state := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), child+"="+web.URL, "MESH_HOME="+state)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waiting(t, state, 1)
	// What it was writing is not whole.
	folder := filepath.Join(state, notify.Folder)
	half := []string{"webhook-00000000000000000001-AAAAAAAA.json", ".webhook-00000000000000000001-AAAAAAAA.json.12345678.tmp", "state"}
	for _, name := range half {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(`{"channel":"webh`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.set(nil)
	m := failure(proto.Unreachable)
	m.Subject = "job/other"
	notify.New(notify.Settings{Channels: []notify.Channel{{Kind: notify.Webhook, URL: web.URL}}}, state, nil).Ended(t.Context(), m)
	got := s.got()
	if o := got[len(got)-1].object(t); o["count"] != 2.0 {
		t.Errorf("got %s, want two messages", got[len(got)-1].body)
	}
	waiting(t, state, 0)
}

// Where nothing can be written, a message is tried once.
func TestStateReadOnly(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
		state := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(state, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		notify.New(settings, state, nil).Ended(t.Context(), failure(proto.Unreachable))
		if got := s.titles(t); len(got) != 1 {
			t.Errorf("got %q, want one message", got)
		}
	})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, status(500), func(t *testing.T, _ *server, settings notify.Settings) {
		state := t.TempDir()
		notify.New(settings, state, nil).Ended(t.Context(), failure(proto.Unreachable))
		found := 0
		err := filepath.WalkDir(state, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if found++; err == nil && runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil || found < 2 {
			t.Errorf("got %d files, %v", found, err)
		}
	})
}
