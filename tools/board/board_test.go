package board_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/board"
	"mesh/tools/metrics"
)

// stateDir returns a folder whose path is short enough for a socket.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func post(t *testing.T, state, mode string, card func() board.Card) {
	t.Helper()
	stop, err := board.Post(state, mode, card)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// asked returns mode and text of each card.
func asked(t *testing.T, state string, modes ...string) string {
	t.Helper()
	cards, err := board.Ask(t.Context(), state, modes...)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, c := range cards {
		words = append(words, strings.TrimSpace(c.Mode+" "+c.What+c.Silent))
	}
	return strings.Join(words, "; ")
}

// Whoever asks hears of the tools that run, of those that hang, and of no dead one.
func TestAsk(t *testing.T) {
	t.Parallel()
	state := stateDir(t)
	if got := asked(t, state); got != "" {
		t.Errorf("before any tool: got %q", got)
	}
	begun := time.Now()
	card := func(mode, what string, after time.Duration) func() board.Card {
		return func() board.Card { return board.Card{Mode: mode, What: what, Begun: begun.Add(after)} }
	}
	post(t, state, board.ModeInbox, card(board.ModeInbox, "second", 2))
	post(t, state, board.ModeInbox, card(board.ModeInbox, "first", 1))
	post(t, state, board.ModeHub, card(board.ModeHub, "h", 0))
	if got, want := asked(t, state), "hub h; inbox first; inbox second"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := asked(t, state, board.ModeHub, board.ModeTerminal), "hub h"; got != want {
		t.Errorf("hubs and terminals: got %q, want %q", got, want)
	}

	dead := filepath.Join(state, "run", "terminal-dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for name, text := range map[string]string{"offer-file": "no socket", "pipe-": "none"} {
		if err := os.WriteFile(filepath.Join(state, "run", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := asked(t, state), "hub h; inbox first; inbox second"; got != want {
		t.Errorf("with a dead socket: got %q, want %q", got, want)
	}
	hangs := make(chan struct{})
	post(t, state, board.ModeTerminal, func() board.Card { <-hangs; return board.Card{} })
	if _, err := os.Lstat(dead); err == nil {
		t.Error("the next tool has left the dead socket")
	}
	if got, want := asked(t, state, board.ModeTerminal, board.ModeHub), "hub h; terminal no answer in 1s"; got != want {
		t.Errorf("with one that hangs: got %q, want %q", got, want)
	}
	close(hangs)
}

// What answers with something else than a card is told so.
func TestAskNoCard(t *testing.T) {
	t.Parallel()
	state := stateDir(t)
	if err := os.Mkdir(filepath.Join(state, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	for mode, answer := range map[string]string{"text": "hello", "list": "[]", "empty": "{}"} {
		l, err := net.Listen("unix", filepath.Join(state, "run", mode+"-socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(answer))
				c.Close()
			}
		}()
	}
	why := "its answer cannot be read"
	if got, want := asked(t, state), "empty "+why+"; list "+why+"; text "+why; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A folder that others may enter, or that is none, is refused. A deep one is not.
func TestPostRefused(t *testing.T) {
	t.Parallel()
	open, file := stateDir(t), stateDir(t)
	if err := os.Mkdir(filepath.Join(open, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(file, "run"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(stateDir(t), strings.Repeat("x", 90))
	for dir, code := range map[string]proto.Code{open: proto.Config, file: proto.IO, long: proto.OK} {
		stop, err := board.Post(dir, board.ModeInbox, func() board.Card { return board.Card{} })
		if xtest.WantCode(t, dir, err, code); err == nil {
			stop()
		}
	}
	if _, err := board.Ask(context.Background(), file); proto.CodeOf(err) != proto.IO {
		t.Errorf("a file in the place of the folder: got %v, want 40", err)
	}
}

// The record tells what goes on and what has been, and the meter counts the same.
func TestRecord(t *testing.T) {
	t.Parallel()
	meter := metrics.New("1")
	b := board.New(board.ModeInbox, "/in", "1", meter)
	counters := new(pipe.Counters)
	counters.Received.Store(300)
	counters.Sent.Store(20)
	at := board.Link{Via: "tcp", Path: "relay tcp4 r.example", Addr: "192.0.2.1:1"}
	broken := false
	run := b.Begin("t1", board.Transfer{Peer: "nas", Kind: "files", Direction: "received", Total: 900}, counters,
		func() board.Link { return at }, func() (time.Duration, bool) { return time.Minute, broken })
	b.Stored("nas", "t1", "db.dump", 200, true, new(int))
	b.Stored("nas", "t1", "db.dump", 200, false, nil)
	b.AtHub("hub.example", nil)
	b.NamedAtHub("hub.example", "alpha")
	b.AtHub("gone.example", proto.Errorf(proto.Unreachable, "no route"))
	b.AtHub("left.example", nil)
	b.LeftHub("left.example")
	broken = true
	c := b.Card()
	if len(c.Transfers) != 1 || c.Taken != 1 {
		t.Fatalf("got %+v", c)
	}
	if got := c.Transfers[0]; got.Bytes != 300 || got.Total != 900 || got.Name != "db.dump" || got.Broken != 60 || got.Path != at.Path || got.Rate <= 0 {
		t.Errorf("got the transfer %+v", got)
	}
	if len(c.Hubs) != 2 || c.Hubs[0].Error != "no route" || c.Hubs[1].As != "alpha" || c.Hubs[1].Error != "" {
		t.Errorf("got the hubs %+v", c.Hubs)
	}
	run.End(pipe.Result{Received: &pipe.Receipt{}, Sent: &pipe.Receipt{}}, nil)
	b.Delivered("nas", nil)
	b.Delivered("", proto.Errorf(proto.Space, "full"))
	b.Resumed(2 * time.Second)
	b.Refused(proto.Errorf(proto.Denied, "no"))
	c = b.Card()
	if len(c.Transfers) != 0 || len(c.Peers) != 2 {
		t.Fatalf("at the end: got %+v", c)
	}
	if p := c.Peers[0]; p.Name != "nas" || p.Deliveries != 1 || p.Bytes != 200 || p.Last.IsZero() {
		t.Errorf("got the peer %+v", p)
	}
	if p := c.Peers[1]; p.Name != board.Other || p.Failed != 1 || !p.Last.IsZero() {
		t.Errorf("got the stranger %+v", p)
	}
	c.Expect("nas", time.Hour, time.Now().Add(time.Hour), false)
	c.Expect("late", 26*time.Hour, time.Time{}, true)
	if p := c.Peers[2]; p.Name != "late" || !p.Overdue || p.Expect != 26*3600 || c.Peers[0].Expect != 3600 || len(c.Peers) != 3 {
		t.Errorf("got %+v", c.Peers)
	}
	var text strings.Builder
	meter.Write(&text, c.Gauges())
	for _, line := range []string{
		`mesh_transfers_total{direction="received",kind="files",result="ok"} 1`, `mesh_transfers_total{direction="sent",kind="files",result="ok"} 0`,
		`mesh_transfer_bytes_total{direction="received",via="relay"} 300`, `mesh_transfer_seconds_count{direction="received"} 1`,
		`mesh_inbox_deliveries_total{peer="nas",result="ok"} 1`, `mesh_inbox_deliveries_total{peer="other",result="failed"} 1`,
		`mesh_link_resumes_total 1`, `mesh_link_outage_seconds_total 2`, `mesh_refused_total{reason="denied"} 1`, `mesh_hook_runs_total{result="ok"} 1`,
		`mesh_inbox_overdue{peer="nas"} 0`, `mesh_inbox_overdue{peer="late"} 1`, `mesh_transfers{direction="received"} 0`, `mesh_links{via="relay"} 0`,
	} {
		if !strings.Contains(text.String(), line+"\n") {
			t.Errorf("want %s in\n%s", line, text.String())
		}
	}
}

// A tool without a record records nothing, and does not fail.
func TestNoRecord(t *testing.T) {
	t.Parallel()
	var b *board.Board
	b.Begin("t", board.Transfer{}, nil, nil, nil).End(pipe.Result{}, nil)
	b.Stored("", "", "", 1, true, nil)
	b.Delivered("", nil)
	b.AtHub("h", nil)
	b.LeftHub("h")
	b.Resumed(1)
	b.Refused(nil)
}
