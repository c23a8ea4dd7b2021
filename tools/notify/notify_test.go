package notify_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/tools/notify"
)

// failure is the end of a run of the job db.
func failure(code proto.Code) notify.Message {
	return notify.Message{
		Event: notify.EventEnd, Tool: "mesh-cat", Job: "db", Subject: "job/db", Peer: "nas",
		Err: proto.Hint(proto.Errorf(code, "dial nas: no answer"), "mesh-ping nas"),
	}
}

func success() notify.Message {
	m := failure(0)
	m.Err, m.Receipt = nil, "sent 12 MB to nas"
	return m
}

// inVirtualTime calls f in a bubble, with a server and settings that have the hook as the
// only channel.
func inVirtualTime(t *testing.T, answer http.HandlerFunc, f func(t *testing.T, s *server, settings notify.Settings)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, stop := newServer(answer)
		defer stop()
		hook := notify.Channel{Kind: notify.Webhook, URL: "http://localhost/hook"}
		f(t, s, notify.Settings{Repeat: notify.DefaultRepeat, Channels: []notify.Channel{hook.Over(s.dial)}})
	})
}

// titles returns the titles of what a webhook has got.
func (s *server) titles(t *testing.T) (titles []string) {
	t.Helper()
	for _, r := range s.got() {
		titles = append(titles, r.object(t)["title"].(string))
	}
	return titles
}

func TestNothingToTell(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	c := []notify.Channel{{Kind: notify.Command, Command: "touch " + filepath.Join(state, "told")}}
	for _, s := range []notify.Settings{{}, {On: notify.OnNever, Channels: c}} {
		n := notify.New(s, state, nil)
		n.Begin(t.Context(), "db")()
		n.Ended(t.Context(), failure(proto.Unreachable))
		n.Tell(t.Context(), notify.Message{})
		n.PostEnd(failure(proto.Unreachable))
	}
	if names, err := os.ReadDir(state); len(names) > 0 || err != nil {
		t.Errorf("got %v, %v, want no file", names, err)
	}
}

// What is told of a job over time.
func TestEnds(t *testing.T) {
	t.Parallel()
	at := func(hours int) time.Time { return time.Date(2026, 11, 1, hours, 0, 0, 0, time.UTC) }
	const day = 24 * time.Hour
	var s notify.Subject
	for _, tt := range []struct {
		what     string
		code     proto.Code
		at       time.Time
		repeat   time.Duration
		tell     bool
		works    bool
		failures int
	}{
		{"a success", proto.OK, at(0), day, false, false, 0},
		{"the first failure", proto.Unreachable, at(1), day, true, false, 1},
		{"the same", proto.Unreachable, at(2), day, false, false, 2},
		{"another one of the class", proto.Timeout, at(3), day, false, false, 3},
		{"another class", proto.Denied, at(4), day, true, false, 4},
		{"the same after a day", proto.Identity, at(28), day, true, false, 5},
		{"a wrong command line", proto.Usage, at(29), day, false, false, 0},
		{"without repeat", proto.Identity, at(30), 0, true, false, 6},
		{"the clock is set back", proto.Identity, at(6), day, true, false, 7},
		{"and goes on", proto.Identity, at(7), day, false, false, 8},
		{"a success", proto.OK, at(8), day, true, true, 8},
		{"one more", proto.OK, at(9), day, false, false, 0},
		{"a signal", proto.Terminated, at(10), day, true, false, 1},
		{"another one", proto.Interrupted, at(11), day, true, false, 2},
		{"the clock is set forward", proto.Interrupted, at(1000), day, true, false, 3},
	} {
		tell, works, failures := s.End(tt.code, tt.at, tt.repeat)
		if tell != tt.tell || works != tt.works || failures != tt.failures {
			t.Errorf("%s: got tell %v, works %v, %d failures, want %v, %v, %d", tt.what, tell, works, failures, tt.tell, tt.works, tt.failures)
		}
	}
}

// Runs that know nothing of each other tell a failure once, and its end.
func TestRuns(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		end := func(m notify.Message) {
			notify.New(settings, state, nil).Ended(t.Context(), m)
			<-time.After(3 * time.Hour)
		}
		end(success())
		end(failure(proto.Unreachable))
		end(failure(proto.Truncated))
		end(failure(proto.Unreachable))
		end(success())
		end(success())
		settings.On = notify.OnAlways
		end(success())
		end(failure(proto.Unreachable))
		end(failure(proto.Unreachable))
		host, _ := os.Hostname()
		want := []string{"db failed", "db works again", "db is done", "db failed", "db failed"}
		for i, w := range want {
			want[i] = "mesh: " + w + " on " + host
		}
		if got := s.titles(t); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		got := s.got()
		if text := got[1].object(t)["text"]; text != "db works again after 3 failures in 9 h\nsent 12 MB to nas" {
			t.Errorf("got %q", text)
		}
	})
}

// A branch that failed is told although the run has succeeded, with the same rules; one that
// goes well is told only after a failure.
func TestBranches(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
		state := t.TempDir()
		end := func(codes ...proto.Code) {
			ends := []notify.Message{success()}
			for i, code := range codes {
				peer := []string{"nas", "cloud"}[i]
				m := notify.Message{Event: notify.EventBranch, Tool: "mesh-cat", Job: "db", Subject: "branch/job/db/" + peer, Peer: peer, PeerName: peer}
				if code != proto.OK {
					m.Err = proto.Errorf(code, "no answer")
				}
				ends = append(ends, m)
			}
			notify.New(settings, state, nil).Ended(t.Context(), ends...)
			<-time.After(3 * time.Hour)
		}
		end(proto.OK, proto.OK)
		end(proto.OK, proto.Timeout)
		end(proto.OK, proto.Unreachable)
		end(proto.OK, proto.Space)
		end(proto.OK, proto.OK)
		end(proto.OK, proto.OK)
		settings.HideNames = true
		end(proto.Timeout, proto.OK)
		settings.HideNames, settings.On = false, notify.OnAlways
		end(proto.OK, proto.OK)
		host, _ := os.Hostname()
		want := []string{"db to cloud failed", "db to cloud failed", "db to cloud works again", "db to a peer failed"}
		for i, w := range want {
			want[i] = "mesh: " + w + " on " + host
		}
		want = append(want, "mesh: 2 messages from "+host) // the run is done, and nas works again
		if got := s.titles(t); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		o := s.got()[0].object(t)
		if o["event"] != "branch" || o["kind"] != "failed" || o["job"] != "db" || o["peer_name"] != "cloud" || o["code"] != 11.0 {
			t.Errorf("got %v", o)
		}
		if text := s.got()[2].object(t)["text"]; text != "db to cloud works again after 3 failures in 9 h" {
			t.Errorf("got %q", text)
		}
		if text := s.got()[3].object(t)["text"].(string); strings.Contains(text, "nas") {
			t.Errorf("got %q with a name", text)
		}
	})
}

// One peer causes at most 20 messages an hour, and one that counts, whatever it does.
func TestFlood(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
		ctx, cancel := context.WithCancel(t.Context())
		n := notify.NewDaemon(settings, t.TempDir(), nil)
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		codes := []proto.Code{proto.Unreachable, proto.Denied, proto.OK, proto.Integrity, proto.IO}
		for i := range 10_000 {
			m := failure(codes[i%len(codes)])
			m.Event, m.Job, m.Subject, m.From = notify.EventDelivery, "", "peer/nas", "nas"
			if codes[i%len(codes)] == proto.OK {
				m.Err = nil
			}
			n.PostEnd(m)
			if i%100 == 0 {
				<-time.After(30 * time.Second)
			}
		}
		other := failure(proto.IO)
		other.Event, other.Job, other.Subject, other.From, other.Peer = notify.EventDelivery, "", "peer/bob", "bob", "bob"
		n.PostEnd(other)
		<-time.After(time.Hour)
		of := map[string]int{}
		var all []notify.Message
		count := func(m map[string]any) {
			title := m["title"].(string)
			switch {
			case strings.Contains(title, "bob"):
				of["bob"]++
			case m["event"] == "more":
				of["more"]++
				all = append(all, notify.Message{Text: m["text"].(string)})
			default:
				of["nas"]++
			}
		}
		for _, r := range s.got() {
			o := r.object(t)
			if list, ok := o["messages"].([]any); ok {
				for _, m := range list {
					count(m.(map[string]any))
				}
				continue
			}
			count(o)
		}
		if of["nas"] != 20 || of["more"] != 1 || of["bob"] != 1 {
			t.Errorf("got %v, want 20 of nas, one that counts, and one of bob", of)
		}
		if len(all) == 1 && !strings.Contains(all[0].Text, "nas caused 20 messages within an hour; ") {
			t.Errorf("got %q", all[0].Text)
		}
		cancel()
		wg.Wait()
	})
}

// The messages of a run: what is in them, and what is not.
func TestContent(t *testing.T) {
	t.Parallel()
	token := "mesh1" + strings.Repeat("q", 60)
	inVirtualTime(t, nil, func(t *testing.T, s *server, settings notify.Settings) {
		var log bytes.Buffer
		m := failure(proto.Unreachable)
		m.Err = proto.Hint(proto.Errorf(proto.Unreachable, "dial %s: \x1b[31m no answer\n%s", token, strings.Repeat("long ", 500)), "mesh-ping "+token)
		m.PeerID, m.PeerName, m.Folder, m.Tries = "mk1nas", "nas", "/srv/in", 7
		settings.Repeat = 0
		for _, hide := range []bool{false, true} {
			settings.HideNames = hide
			notify.New(settings, t.TempDir(), slog.New(slog.NewTextHandler(&log, nil))).Ended(t.Context(), m)
		}
		got := s.got()
		if len(got) != 2 {
			t.Fatalf("got %d requests", len(got))
		}
		text := got[0].object(t)["text"].(string)
		for _, part := range []string{"error: dial mesh1…", `\x1b[31m no answer\n`, "code 10 (unreachable)"} {
			if !strings.Contains(text, part) {
				t.Errorf("got %q, want %q in it", text, part)
			}
		}
		if len(text) > 1200 {
			t.Errorf("got %d bytes", len(text))
		}
		for i, body := range []string{got[0].body, got[1].body, log.String()} {
			if strings.Contains(body, "qqqqqqqq") {
				t.Errorf("%d: got a token: %s", i, body)
			}
		}
		for _, name := range []string{"nas", "/srv", "dial", "mesh-ping"} {
			if strings.Contains(got[1].body, name) {
				t.Errorf("got %s, want no names in it", got[1].body)
			}
		}
		if o := got[1].object(t); o["text"] != "error: no answer, no route, no such host, after 7 tries\ncode 10 (unreachable)" || !strings.Contains(o["title"].(string), "db failed") {
			t.Errorf("got %s", got[1].body)
		}
	})
}

// The ping hears of each run, its beginning too, and only the last one of a job waits.
func TestPingRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, stop := newServer(nil)
		defer stop()
		state := t.TempDir()
		ping := notify.Channel{Kind: notify.Ping, URLFile: secretFile(t, "http://localhost/{job}")}
		settings := notify.Settings{Channels: []notify.Channel{ping.Over(s.dial)}}
		run := func(m notify.Message) {
			n := notify.New(settings, state, nil)
			begun := n.Begin(t.Context(), m.Job)
			<-time.After(time.Second)
			begun()
			n.Ended(t.Context(), m)
		}
		run(success())
		run(failure(proto.Unreachable))
		s.set(status(503))
		run(failure(proto.Denied))
		<-time.After(10 * time.Minute)
		run(success())
		s.set(nil)
		<-time.After(10 * time.Minute)
		m := success()
		m.Job = "web"
		run(m)
		var got []string
		for _, r := range s.got() {
			got = append(got, r.path)
		}
		want := []string{
			"/db/start", "/db/0", "/db/start", "/db/10", "/db/start", "/db/20", "/db/start", "/db/0",
			"/web/start", "/db/0", "/web/0",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		waiting(t, state, 0)
		// A server that hangs at the beginning costs a short run nothing.
		s.set(hang)
		begun, at := notify.New(settings, state, nil).Begin(t.Context(), "db"), time.Now()
		<-time.After(time.Second)
		if begun(); time.Since(at) != time.Second {
			t.Errorf("a run of 1 s took %v", time.Since(at))
		}
		// A ping that is an hour late would tell the wrong time.
		notify.New(settings, state, nil).Ended(t.Context(), success())
		waiting(t, state, 1)
		<-time.After(61 * time.Minute)
		notify.New(settings, state, nil).Ended(t.Context(), m)
		waiting(t, state, 1)
	})
}

func TestTry(t *testing.T) {
	t.Parallel()
	s := &server{}
	web := httptest.NewServer(s)
	defer web.Close()
	state := t.TempDir()
	settings := notify.Settings{On: notify.OnNever, Channels: channels(t, web.URL)}
	plain := settings.Channels[2]
	plain.Successes = true
	settings.Channels = append(settings.Channels, plain, notify.Channel{Kind: notify.Command, Command: "exit 1"})
	for _, r := range notify.Try(t.Context(), settings, state, "", nil) {
		switch {
		case r.Channel == notify.Command && proto.CodeOf(r.Err) == proto.Consumer && !r.Kept:
		case r.Channel == notify.Ping && errors.Is(r.Err, notify.ErrNotTested):
		case r.Err == nil:
		default:
			t.Errorf("got %+v", r)
		}
	}
	var paths []string
	for _, r := range s.got() {
		paths = append(paths, r.path)
	}
	slices.Sort(paths)
	if want := []string{"/" + canary + "/log", "/hook", "/message", "/sub/"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
	waiting(t, state, 0)
	s.set(status(500))
	for _, r := range notify.Try(t.Context(), settings, state, "build failed\nline 2\x1b", nil) {
		if kept := r.Channel != notify.Ping; r.Err == nil || r.Kept != kept {
			t.Errorf("got %+v", r)
		}
	}
	waiting(t, state, 4)
	got := s.got()
	found := slices.ContainsFunc(got, func(r request) bool {
		return r.path == "/hook" && r.object(t)["text"] == "build failed\nline 2\\x1b"
	})
	if !found {
		t.Errorf("got %+v", got[4:])
	}
}
