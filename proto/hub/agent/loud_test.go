package agent_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A node keeps nothing of sessions, codes and rooms that are not its own, however many a hub
// tells it of, and whatever life it gives them. The test measures memory, so it runs alone.
func TestLoudHub(t *testing.T) {
	const each = 1500
	var node identity.ID
	l, err := hubtest.OpenLiar(func(to identity.ID, e hub.Event) []hub.Event {
		if to != node || e.Type != hub.TypePeer {
			return []hub.Event{e}
		}
		peer := identity.ID{1}
		var all []hub.Event
		for range each {
			id := hub.NewID()
			for typ, data := range map[string]hub.Data{
				hub.TypeCreated:   &hub.Created{Session: id, Role: hub.RoleDialer, Peer: peer, Kind: hub.KindPipe, SessionToken: []byte{1}, Sig: make([]byte, 64), ExpiresS: 1<<32 - 1},
				hub.TypePending:   &hub.SessionRef{Session: id},
				hub.TypeCancelled: &hub.SessionRef{Session: id},
				hub.TypeCodeFreed: &hub.CodeFreed{Box: id},
				hub.TypeClosed:    &hub.Closed{Session: id},
			} {
				one, err := hub.New(typ, data)
				if err != nil {
					panic(err)
				}
				all = append(all, one)
			}
		}
		return append(all, e)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop() })
	key := xtest.NewKey(t)
	a, _ := start(t, l.URL(), key, nil)
	ask := func() {
		t.Helper()
		if p, err := a.Lookup(t.Context(), key.ID().String()); err != nil || p.Node != key.ID() {
			t.Fatalf("lookup: got %+v, %v", p, err)
		}
	}
	ask()
	node = key.ID()
	ask() // pools and caches are filled then
	before := heap()
	ask()
	const slack = 256 << 10
	if after := heap(); after > before+slack {
		t.Errorf("%d KiB of memory are in use after %d events of no session, %d before them: want at most %d more", after>>10, 5*each, before>>10, slack>>10)
	}
}

// A hub that sends what no event may be is left: the connection ends with [proto.Protocol],
// and no more than an event is read of it.
func TestBrokenHub(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"64 KiB and a byte": strings.Repeat(" ", hub.MaxEventBytes+1),
		"a mebibyte":        `{"type":"system.ok","x":"` + strings.Repeat("x", 1<<20) + `"}`,
		"deep":              strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9),
		"very deep":         strings.Repeat(`[`, 60000),
		"a name twice":      `{"type":"system.ok","type":"system.ok"}`,
		"no JSON":           "hello",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openProofHub(t, func(b []byte) []byte { return b })
			h.after = func(ws *websocket.Conn) {
				_ = ws.Write(context.Background(), websocket.MessageText, []byte(text)) // the client may be gone before its end
			}
			u := hub.URL{TLS: true, Host: h.addr, Key: h.key.ID()}
			c, err := agent.Dial(t.Context(), agent.Options{URL: u, Key: xtest.NewKey(t), Instance: hub.NewID()}, func(hub.Event) { t.Error("an event came") })
			if err != nil {
				t.Fatal(err)
			}
			xtest.WantCode(t, "the connection", c.Run(context.WithoutCancel(t.Context())), proto.Protocol)
		})
	}
}

// What a hub asks a node to wait is bounded.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		says uint32
		want time.Duration
	}{{0, 0}, {7, 7 * time.Second}, {300, hub.MaxRetryAfter}, {301, hub.MaxRetryAfter}, {1<<32 - 1, hub.MaxRetryAfter}} {
		err := fmt.Errorf("ask: %w", &agent.Error{Answer: hub.Error{Code: hub.CodeRateLimited, RetryAfterS: tt.says}})
		if got := agent.RetryAfter(err); got != tt.want {
			t.Errorf("%d s: got %v, want %v", tt.says, got, tt.want)
		}
	}
}

// A node has 64 sessions in the making: the next one is refused at once, whatever its hub
// says or does not say.
func TestMaxMaking(t *testing.T) {
	t.Parallel()
	var node identity.ID
	asked := make(chan bool, 2*hub.MaxMaking)
	l := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
		if to == node && e.Type != hub.TypeChallenge && e.Type != hub.TypeWelcome {
			return nil // no answer to any request
		}
		return []hub.Event{e}
	})
	l.Saw = func(_ identity.ID, e hub.Event) {
		if e.Type == hub.TypeRequest {
			asked <- true
		}
	}
	key := xtest.NewKey(t)
	node = key.ID()
	a, _ := start(t, l.URL(), key, nil)
	ask := agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range hub.MaxMaking {
		wg.Go(func() {
			if _, err := a.Request(ctx, ask); ctx.Err() == nil {
				t.Errorf("a request ended with %v", err)
			}
		})
	}
	for range hub.MaxMaking {
		<-asked
	}
	_, err := a.Request(t.Context(), ask)
	xtest.WantCode(t, "one more", err, proto.Busy)
}

// The first outcome of a session is the one that counts: another one of the hub for the same
// session changes nothing.
func TestFirstOutcome(t *testing.T) {
	t.Parallel()
	bob := xtest.NewKey(t)
	l := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
		var c hub.Created
		if e.Type != hub.TypeCreated || e.Read(&c) != nil || c.Role != hub.RoleDialer {
			return []hub.Event{e}
		}
		all := []hub.Event{e}
		for range 8 { // they come while the first one is judged
			c.SessionToken[0] ^= 1
			declined, err := hub.New(hub.TypeDeclined, &hub.Declined{Session: c.Session, Code: hub.CodeDenied})
			if err != nil {
				panic(err)
			}
			forged, err := hub.New(e.Type, &c)
			if err != nil {
				panic(err)
			}
			all = append(all, forged, declined)
		}
		return all
	})
	listener(t, l.URL(), bob, "bob")
	alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	for range 8 {
		if _, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())}); err != nil {
			t.Fatal(err)
		}
	}
}

// So it is if the others come before the caller has looked at the first one.
func TestFirstOutcomeWaits(t *testing.T) {
	t.Parallel()
	id := hub.NewID()
	made := func(typ string, data hub.Data) hub.Event {
		e, err := hub.New(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	created := func(sealed byte) hub.Event {
		return made(hub.TypeCreated, &hub.Created{Session: id, Role: hub.RoleDialer, Peer: xtest.NewKey(t).ID(), Kind: hub.KindPipe, SessionToken: []byte{sealed}, Sig: make([]byte, hub.SignatureBytes)})
	}
	declined := made(hub.TypeDeclined, &hub.Declined{Session: id, Code: hub.CodeDenied})
	for what, events := range map[string][]hub.Event{
		"created twice": {created(1), created(2)}, "created, then declined": {created(1), declined}, "declined, then created": {declined, created(2)},
	} {
		if got := agent.Outcome(id, events...); got.Type != events[0].Type || string(got.Data) != string(events[0].Data) {
			t.Errorf("%s: got %s %s, want the first one, %s", what, got.Type, got.Data, events[0].Data)
		}
	}
}

// A listener remembers the last 10,000 requests, and forgets the oldest for a new one.
func TestRemembered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n     int
		first bool
	}{{agent.MaxSeen, true}, {agent.MaxSeen + 1, false}, {3 * agent.MaxSeen, false}} {
		count, first, last := agent.Remembered(tt.n)
		if count != min(tt.n, agent.MaxSeen) || first != tt.first || !last {
			t.Errorf("of %d requests: got %d, the first %v, the last %v; want %d, %v, true", tt.n, count, first, last, min(tt.n, agent.MaxSeen), tt.first)
		}
	}
}

// A listener decides 64 requests at a time; the next one hears that it is busy.
func TestMaxDeciding(t *testing.T) {
	t.Parallel()
	alice, bob := xtest.NewKey(t), xtest.NewKey(t)
	var l *hubtest.Liar
	l = openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		if e.Type != hub.TypeOffer {
			return []hub.Event{e}
		}
		var all []hub.Event
		for range agent.MaxDeciding + 1 {
			r := hub.Request{Session: hub.NewID(), To: "bob", Kind: hub.KindPipe, Want: "send", Seal: make([]byte, hub.SealKeyBytes)}
			r.Sign(alice, l.Key.ID())
			one, err := hub.New(hub.TypeOffer, &hub.Offer{Request: r})
			if err != nil {
				panic(err)
			}
			one.From = alice.ID()
			all = append(all, one)
		}
		return all
	})
	declined := make(chan string, 2*agent.MaxDeciding)
	l.Saw = func(from identity.ID, e hub.Event) {
		var d hub.Decline
		if from == bob.ID() && e.Type == hub.TypeDecline && e.Read(&d) == nil {
			declined <- d.Code
		}
	}
	asked, registered, answer := make(chan bool, 2*agent.MaxDeciding), make(chan bool, 16), make(chan bool)
	start(t, l.URL(), bob, func(a *agent.Agent) {
		a.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
		a.OnRegistered = func(hub.Register, hub.Registered) { registered <- true }
		a.OnOffer = func(context.Context, agent.Offer) agent.Answer {
			asked <- true
			<-answer
			return agent.Answer{Decline: hub.CodeDenied}
		}
	})
	<-registered
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dialer, _ := start(t, l.URL(), alice, nil)
	go func() {
		_, _ = dialer.Request(ctx, agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody}) // ends with the test
	}()
	if got := <-declined; got != hub.CodeBusy {
		t.Errorf("one more: got %q, want %q", got, hub.CodeBusy)
	}
	for range agent.MaxDeciding {
		<-asked
	}
	close(answer)
	for range agent.MaxDeciding {
		if got := <-declined; got != hub.CodeDenied {
			t.Errorf("got %q, want %q", got, hub.CodeDenied)
		}
	}
	if len(asked) > 0 {
		t.Errorf("%d requests more are decided", len(asked))
	}
}

// A listener that remembers a request does not keep its answer longer than the dialer can
// repeat the request or cancel the session.
func TestAnswersForgotten(t *testing.T) {
	t.Parallel()
	for later, want := range map[time.Duration]int{0: 100, agent.AnswerLife - 1: 100, agent.AnswerLife: 0} {
		if answers, remembered := agent.KeptAnswers(100, later); answers != want || remembered != 100 {
			t.Errorf("%v later: got %d answers of %d requests, want %d of 100", later, answers, remembered, want)
		}
	}
}
