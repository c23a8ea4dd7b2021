package agent_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// pipeListener accepts the other ends of pipes.
type pipeListener struct {
	conns chan net.Conn // sent by dial; never closed
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// shortHub is a hub whose connections end in one way. It notes how long the agent waits
// after each.
type shortHub struct {
	key    *identity.Key
	up     time.Duration
	goAway *hub.GoAway
	code   int // 0: the connection breaks; -1: nobody answers
	pipes  pipeListener
	ended  time.Time
	waits  chan time.Duration
	dialed []string // what the agent has dialed
	mute   bool     // the hub answers no ping
	// changeAt is when the network of the agent's machine changes; 0 for never.
	changeAt time.Duration
	pings    chan time.Time
}

const origin = "ws://127.0.0.1:1"

func (h *shortHub) dial(_ context.Context, _, addr string) (net.Conn, error) {
	h.dialed = append(h.dialed, addr)
	if !h.ended.IsZero() {
		h.waits <- time.Since(h.ended)
	}
	h.ended = time.Now()
	if h.code == -1 {
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}
	here, there := net.Pipe()
	select {
	case h.pipes.conns <- there:
		return here, nil
	case <-h.pipes.done: // the test is over
		return nil, net.ErrClosed
	}
}

func (h *shortHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	nonce, _ := hex.DecodeString(r.URL.Query().Get("n"))
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{hub.Subprotocol}, OnPingReceived: func(context.Context, []byte) bool {
		select {
		case h.pings <- time.Now():
		default: // nobody counts them
		}
		return !h.mute
	}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	l := hub.Login{Origin: origin, Hub: h.key.ID(), ClientNonce: nonce, HubNonce: hub.NewNonce(hub.NonceBytes), Binding: make([]byte, hub.BindingBytes)}
	send(ws, hub.TypeChallenge, &hub.Challenge{Hub: l.Hub, Nonce: l.HubNonce, Proof: l.Prove(h.key)})
	if _, _, err := ws.Read(context.Background()); err != nil {
		return
	}
	if h.mute {
		h.ended = time.Now()
	}
	send(ws, hub.TypeWelcome, &hub.Welcome{})
	reading := ws.CloseRead(context.Background()) // answers pings
	select {
	case <-time.After(h.up):
	case <-reading.Done():
		return
	}
	if h.goAway != nil {
		send(ws, hub.TypeGoAway, h.goAway)
	}
	h.ended = time.Now()
	if h.code > 0 {
		_ = ws.Close(websocket.StatusCode(h.code), "")
	}
}

func send(ws *websocket.Conn, typ string, data hub.Data) {
	if e, err := hub.New(typ, data); err == nil {
		if text, err := e.Encode(); err == nil {
			_ = ws.Write(context.Background(), websocket.MessageText, text)
		}
	}
}

// observe returns the first waits of an agent at a hub, fewer if the agent ends, in virtual
// time. No goroutine is left then: the bubble would not end.
func observe(t *testing.T, h *shortHub, count int) (waits []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		h.key = xtest.NewKey(t)
		h.pipes = pipeListener{make(chan net.Conn), make(chan struct{})}
		h.waits = make(chan time.Duration, count+1)
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(&h.pipes) }()
		o := agent.Options{URL: hub.URL{Host: "127.0.0.1:1", Key: h.key.ID()}, Key: xtest.NewKey(t), Instance: hub.NewID(), DialContext: h.dial}
		if h.changeAt > 0 {
			n := new(network)
			time.AfterFunc(h.changeAt, n.change)
			o.Changed = n.Next
		}
		a := agent.New(o)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			a.Run(ctx)
			close(ended)
		}()
		for running := true; running && len(waits) < count; {
			select {
			case d := <-h.waits:
				waits = append(waits, d)
			case <-ended:
				running = false
			}
		}
		cancel()
		<-ended
		close(h.pipes.done)
		_ = server.Close()
	})
	return waits
}

// How an agent comes back, by how its connection has ended: what it waits is random, at
// most a time that doubles up to half a minute, and short again after a minute up.
func TestReconnect(t *testing.T) {
	t.Parallel()
	const short, most, refused = 250 * time.Millisecond, 30 * time.Second, 5 * time.Minute
	const slack = 100 * time.Millisecond // of a close, which is no wait
	for _, tt := range []struct {
		name     string
		hub      shortHub
		skip     int // waits that are not looked at
		min, max time.Duration
	}{
		{"restart after a long time", shortHub{up: 2 * time.Minute, code: hub.CloseRestart}, 0, 0, short},
		{"full, at once", shortHub{code: hub.CloseFull}, 8, 0, most},
		{"going away, at once", shortHub{code: hub.CloseGoingAway}, 8, 0, most},
		{"broken, at once", shortHub{}, 8, 0, most},
		{"broken after a long time", shortHub{up: 61 * time.Second}, 0, 0, short},
		{"nobody answers", shortHub{code: -1}, 8, 0, most},
		{"malformed", shortHub{code: hub.CloseBadEvent}, 0, most, most},
		{"login wrong", shortHub{code: hub.CloseBadLogin}, 0, refused, refused},
		{"no member", shortHub{code: hub.CloseNoMember}, 0, refused, refused},
		{"no common subprotocol", shortHub{code: hub.CloseVersion}, 0, refused, refused},
		{"too slow, after a long time", shortHub{up: 2 * time.Minute, code: hub.CloseTooSlow}, 0, 0, 32 * short},
		{"goaway", shortHub{up: 2 * time.Minute, code: hub.CloseRestart, goAway: &hub.GoAway{AfterS: 2, SpreadS: 10}}, 0, 2 * time.Second, 12 * time.Second},
		{"goaway of years", shortHub{up: time.Second, code: hub.CloseRestart, goAway: &hub.GoAway{AfterS: 1 << 31, SpreadS: 1 << 31}}, 0, hub.MaxGoAwayAfter, hub.MaxGoAwayAfter + hub.MaxGoAwaySpread},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const count = 100
			waits := observe(t, &tt.hub, count+tt.skip)
			if len(waits) != count+tt.skip {
				t.Fatalf("got %d waits, want %d: the agent has ended", len(waits), count+tt.skip)
			}
			var sum time.Duration
			low, high := waits[tt.skip], time.Duration(0)
			for i, d := range waits[tt.skip:] {
				low, high, sum = min(low, d), max(high, d), sum+d
				if d < tt.min || d > tt.max+slack {
					t.Errorf("wait %d: got %v, want %v to %v", i+tt.skip, d, tt.min, tt.max)
				}
			}
			for i, d := range waits[:tt.skip] {
				if d > short<<i+slack {
					t.Errorf("wait %d: got %v, want at most %v", i, d, short<<i)
				}
			}
			spread := tt.max - tt.min
			if low > tt.min+spread/5+slack || high < tt.max-spread/5 {
				t.Errorf("got %v to %v, want them spread over %v to %v", low, high, tt.min, tt.max)
			}
			if mean := sum / count; mean < tt.min+spread*3/10 || mean > tt.max-spread*3/10+slack {
				t.Errorf("got %v in the mean, want the middle of %v to %v", mean, tt.min, tt.max)
			}
		})
	}
}

// The same instance has logged in elsewhere: an agent that was replaced does not come back.
func TestReplaced(t *testing.T) {
	t.Parallel()
	if waits := observe(t, &shortHub{up: time.Second, code: hub.CloseReplaced}, 1); len(waits) != 0 {
		t.Errorf("got the waits %v, want that the agent ends", waits)
	}
}

// An agent pings its hub every 20 seconds, give or take a tenth, and leaves a hub that does
// not answer within 10 seconds.
func TestPings(t *testing.T) {
	t.Parallel()
	const count = 20
	h := &shortHub{up: (count + 2) * hub.PingEvery * 11 / 10, pings: make(chan time.Time, 2*count)}
	if waits := observe(t, h, 1); len(waits) != 1 {
		t.Fatal("the agent has ended")
	}
	low, high, last := time.Hour, time.Duration(0), <-h.pings
	for range count - 1 {
		ping := <-h.pings
		low, high, last = min(low, ping.Sub(last)), max(high, ping.Sub(last)), ping
	}
	if low < hub.PingEvery*9/10 || high > hub.PingEvery*11/10 || high-low < hub.PingEvery/20 {
		t.Errorf("got pings %v to %v apart, want %v, give or take a tenth, and not in step", low, high, hub.PingEvery)
	}
	for range 10 {
		waits := observe(t, &shortHub{mute: true, up: time.Hour}, 1)
		if len(waits) != 1 || waits[0] < hub.PingEvery*9/10+hub.PongTimeout || waits[0] > hub.PingEvery*11/10+hub.PongTimeout+firstPause {
			t.Errorf("a hub that answers no ping: got the next login after %v, want the time of a ping and %v", waits, hub.PongTimeout)
		}
	}
}

// firstPause is the longest pause before the first reconnect, and some time for a close.
const firstPause = 350 * time.Millisecond
