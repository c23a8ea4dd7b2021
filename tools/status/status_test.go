package status

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mesh/proto"
	"mesh/tools/board"
	"mesh/tools/job"
	"mesh/tools/notify"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// full is a report with one of each.
func full() report {
	free, size := int64(4_100_000_000_000), int64(8_000_000_000_000)
	ended := before(9 * time.Hour)
	return report{
		Version: "0.5", Time: now,
		Tools: []board.Card{
			{
				Mode: board.ModeInbox, What: "/srv/in", Version: "0.4", Begun: before(6 * 24 * time.Hour), Free: &free, Size: &size, Places: 100, Taken: 3,
				Peers: []board.Peer{
					{Name: "camera", Deliveries: 142, Bytes: 18_200_000_000, Last: before(2 * time.Hour)},
					{Name: "nas", Expect: 26 * 3600, Last: before(31 * time.Hour), Overdue: true},
				},
				Transfers: []board.Transfer{{
					Peer: "alice", Name: "shop.dump", Direction: "received", Begun: before(28 * time.Second), Bytes: 3_100_000_000, Total: 9_400_000_000, Rate: 112e6,
					Path: "direct tcp4", Addr: "192.0.2.7:51344",
				}},
				Hubs: []board.Hub{{Host: "hub.example.org", As: "alpha", Since: before(3 * 24 * time.Hour)}},
			},
			{Mode: board.ModeTerminal, What: "build", Version: "0.5", Begun: before(2 * time.Hour), Terminal: &board.Terminal{Viewers: 3, Writers: []string{"bob"}}},
			{Mode: board.ModeInbox, Silent: "no answer in 1s"},
		},
		Jobs: []jobState{
			{State: job.State{Name: "db", Begun: ended, Ended: ended.Add(41 * time.Second), Bytes: 2_100_000_000, Seconds: 41}},
			{State: job.State{Name: "cloud", Begun: before(4 * time.Hour), Ended: before(4 * time.Hour), Code: 12, Error: "the stream was cut", Failures: 3}},
			{State: job.State{Name: "dead", Begun: before(5 * time.Hour)}, Killed: true},
		},
		Notify: []notify.ChannelState{
			{Channel: "gotify", Sent: before(2 * time.Hour)},
			{Channel: "ping", Waiting: 2, Since: ended, Failed: before(time.Minute), Error: "no answer in 5s", Sent: before(3 * 24 * time.Hour)},
			{Channel: "command", Failed: before(5 * time.Minute), Error: "it ended with status 1"},
			{Channel: "ntfy", Waiting: 1, Since: ended},
		},
	}
}

func TestScreen(t *testing.T) {
	got := full().screen(now)
	want := strings.NewReplacer("SINCE", clock(before(9*time.Hour), now), "CLOCK", clock(before(9*time.Hour-41*time.Second), now)).Replace(`inbox    /srv/in, up 6 d, 4.1 TB free, 3 of 100 places taken,
         running 0.4, installed 0.5
         camera  142 deliveries, 18 GB, last 2 h ago
         nas     expected every 26 h, last 31 h ago: OVERDUE
terminal build, 3 view, 1 types, up 2 h
inbox    runs and does not answer: no answer in 1s
now      alice  shop.dump, received 3.1 GB of 9.4 GB, 112 MB/s, 56 s left,
                for 28 s, direct tcp4, 192.0.2.7:51344
hub      hub.example.org  connected 3 d as alpha, for the inbox
notify   gotify   sent 2 h ago
         ping     2 wait since SINCE (no answer in 5s), sent 3 d ago
         command  failed 5 min ago (it ended with status 1)
         ntfy     1 wait since SINCE
jobs     db     ok CLOCK, 2.1 GB in 41 s
         cloud  failed 4 h ago, 3 times: truncated (12), the stream was cut
         dead   was killed, began 5 h ago, once in a row`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (report{}).screen(now); got != "nothing runs here, and there are no jobs" {
		t.Errorf("with nothing: got %q", got)
	}
}

// What peers and later versions have chosen cannot control the terminal, break the lines or
// make them endless.
func TestScreenHostile(t *testing.T) {
	evil := "\x1b[2J\r\nnow      root\u202e\x00" + strings.Repeat("x", 4000)
	free := int64(-1)
	r := report{Version: "0.5", Tools: []board.Card{{
		Mode: evil, What: evil, Version: evil, PID: -1, Free: &free, Places: -5, Taken: math.MaxInt, Begun: now.Add(time.Hour),
		Peers:     []board.Peer{{Name: evil, Deliveries: 5, Bytes: -1, Expect: -1, Last: now.Add(time.Hour)}},
		Transfers: []board.Transfer{{Peer: evil, Name: "a/" + evil, Direction: evil, Path: evil, Addr: evil, Rate: -1, Total: 1, Bytes: -5}},
		Hubs:      []board.Hub{{Host: evil, As: evil, Error: evil}},
		Terminal:  &board.Terminal{Viewers: -1, Writers: []string{evil}, Asking: []string{evil}},
	}, {Mode: evil, Silent: evil}}, Jobs: []jobState{{State: job.State{Name: "db", Code: 12, Error: evil, Ended: now, Begun: now}}}}
	got := r.screen(now)
	for l := range strings.Lines(got) {
		if n := utf8.RuneCountInString(l); n > 2*columns {
			t.Errorf("got a line of %d columns: %q", n, l)
		}
		if strings.HasPrefix(l, "now      root") {
			t.Errorf("a name has made a line: %q", l)
		}
	}
	if strings.ContainsAny(got, "\x1b\r\x00\u202e") {
		t.Errorf("got %q", got)
	}
}

func TestCheck(t *testing.T) {
	up := board.Card{Mode: board.ModeInbox}
	late := board.Card{Mode: board.ModeInbox, Peers: []board.Peer{{Name: "nas", Overdue: true}}}
	hangs := board.Card{Mode: board.ModeHub, Silent: "no answer in 1s"}
	fails := func(n int, killed bool) jobState {
		return jobState{State: job.State{Name: "db", Failures: n}, Killed: killed}
	}
	for _, tt := range []struct {
		name  string
		tools []board.Card
		jobs  []jobState
		want  proto.Code
	}{
		{"nothing", nil, nil, proto.Unreachable},
		{"a job alone", nil, []jobState{fails(0, false)}, proto.Unreachable},
		{"an inbox", []board.Card{up}, nil, proto.OK},
		{"two", []board.Card{up, up}, []jobState{fails(2, false)}, proto.OK},
		{"one of two hangs", []board.Card{up, hangs}, nil, proto.Unreachable},
		{"overdue", []board.Card{up, late}, nil, proto.Timeout},
		{"three failures", []board.Card{up}, []jobState{fails(0, false), fails(3, false)}, proto.Timeout},
		{"an overdue job", []board.Card{up}, []jobState{{State: job.State{Name: "db"}, Overdue: true}}, proto.Timeout},
		{"two, and killed", []board.Card{up}, []jobState{fails(2, true)}, proto.Timeout},
		{"overdue, and one hangs", []board.Card{late, hangs}, nil, proto.Timeout},
		{"failures, and nothing runs", nil, []jobState{fails(3, false)}, proto.Timeout},
	} {
		err := report{Tools: tt.tools, Jobs: tt.jobs}.check()
		if got := proto.CodeOf(err); got != tt.want {
			t.Errorf("%s: got %d, %v, want %d", tt.name, got, err, tt.want)
		}
		if err != nil && errors.Unwrap(err) == nil && err.Error() == "" {
			t.Errorf("%s: an error without words", tt.name)
		}
	}
}
