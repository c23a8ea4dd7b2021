package agent_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// shown is a code that a listener shows, and why it is a new one.
type shown struct {
	code hub.Code
	why  error
}

// offered is the end of a listener.
type offered struct {
	s   agent.Session
	err error
}

// offer runs OfferCode of an agent until the test ends.
func offer(t *testing.T, a *agent.Agent, grant func(agent.CodeDialer) (hub.Grant, func(), error)) (<-chan shown, <-chan offered, context.CancelFunc) {
	t.Helper()
	codes, end := make(chan shown, 16), make(chan offered, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s, err := a.OfferCode(ctx, agent.CodeOffer{
			Kind: hub.KindPipe,
			Show: func(c hub.Code, why error) { codes <- shown{c, why} },
			Grant: func(_ context.Context, d agent.CodeDialer) (hub.Grant, func(), error) {
				if grant != nil {
					return grant(d)
				}
				return hub.Grant{Method: hub.MethodKey, Caps: "send"}, nil, nil
			},
		})
		end <- offered{s, err}
	}()
	t.Cleanup(cancel)
	return codes, end, cancel
}

func wrongWords(c hub.Code) hub.Code {
	c.Words = "aardvark-aardvark-aardvark"
	return c
}

// codePair is a hub with bob, who shows codes, and alice.
type codePair struct {
	h                *hubtest.Hub
	bob, alice       *agent.Agent
	bobKey, aliceKey *identity.Key
}

func newCodePair(t *testing.T) *codePair {
	t.Helper()
	h := openHub(t)
	p := &codePair{h: h, bobKey: member(t, h), aliceKey: member(t, h)}
	p.bob, _ = start(t, h.URL(), p.bobKey, nil)
	p.alice, _ = start(t, h.URL(), p.aliceKey, nil)
	return p
}

func TestCode(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	first := <-codes
	if first.why != nil || first.code.Host != "" {
		t.Errorf("the first code: why %v, host %q", first.why, first.code.Host)
	}
	s, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: first.code, Kinds: []hub.Kind{hub.KindFiles, hub.KindPipe}})
	if err != nil {
		t.Fatal(err)
	}
	o := <-end
	if o.err != nil {
		t.Fatal(o.err)
	}
	if s.Peer != p.bobKey.ID() || o.s.Peer != p.aliceKey.ID() || s.ID != o.s.ID || *s.Keys != *o.s.Keys || s.Kind != hub.KindPipe || s.Grant.Caps != "send" || s.Hub != p.h.Key.ID() {
		t.Errorf("got sessions %+v and %+v", s, o.s)
	}
	_, err = p.alice.DialCode(t.Context(), agent.CodeAsk{Code: first.code})
	xtest.WantCode(t, "the used code", err, proto.Denied)
	if agent.CodeOf(err) != hub.CodeNoCode {
		t.Errorf("the used code: got %v, want %s", err, hub.CodeNoCode)
	}
}

// A wrong code brings a new one, three times. Each is another code, and its user is told
// from whom the wrong one came.
func TestWrongCode(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, _ := start(t, h.URL(), member(t, h), nil)
	codes, end, _ := offer(t, bob, nil)
	seen := map[string]bool{}
	for i := range 1 + hub.MaxNewCodes {
		c := <-codes
		if seen[c.code.Words] {
			t.Errorf("the words of code %d were shown before", i)
		}
		seen[c.code.Words] = true
		if i > 0 && (c.why == nil || !strings.Contains(c.why.Error(), "wrong code came from")) {
			t.Errorf("code %d: got why %v", i, c.why)
		}
		alice, stop := start(t, h.URL(), member(t, h), nil)
		_, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: wrongWords(c.code)})
		xtest.WantCode(t, "wrong code", err, proto.Denied)
		stop()
		if i < hub.MaxNewCodes {
			h.Skip(time.Minute) // for the rate of claims
		}
	}
	o := <-end
	xtest.WantCode(t, "the fourth wrong code", o.err, proto.Denied)
	if len(codes) > 0 {
		t.Errorf("got %d codes more than 4", len(codes))
	}
}

// A code is right after a wrong one.
func TestCodeAfterWrong(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	_, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: wrongWords((<-codes).code)})
	xtest.WantCode(t, "wrong code", err, proto.Denied)
	if _, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || o.s.Peer != p.aliceKey.ID() {
		t.Errorf("got %+v, %v", o.s, o.err)
	}
}

// A code of a kind that the tool does not take is refused before anything is proven, and
// stays as it was.
func TestCodeKind(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	c := <-codes
	alice, stop := start(t, p.h.URL(), p.aliceKey, nil)
	_, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code, Kinds: []hub.Kind{hub.KindTTY}})
	xtest.WantCode(t, "kind", err, proto.Capability)
	stop() // the connection goes, as a tool's does
	if _, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || len(codes) > 0 {
		t.Errorf("got %v and %d new codes, want none", o.err, len(codes))
	}
}

// A claim without a confirm costs no code, however often.
func TestSilentClaims(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	c := <-codes
	quiet := make(chan hub.Event, 16)
	conn := dialRaw(t, p.h.URL(), member(t, p.h), quiet)
	for range 4 {
		if _, err := conn.Call(t.Context(), hub.TypeCodeClaim, &hub.CodeClaim{Plate: c.code.Plate}); err != nil {
			t.Fatal(err)
		}
		p.h.Skip(hub.ConfirmTimeout)
		// The claim that follows waits for the new share, or is refused for half a second.
		for {
			_, err := conn.Call(t.Context(), hub.TypeCodeClaim, &hub.CodeClaim{Plate: 999999})
			if agent.CodeOf(err) == hub.CodeNoCode {
				break
			}
			if agent.CodeOf(err) != hub.CodeRateLimited {
				t.Fatal(err)
			}
			p.h.Skip(time.Minute)
		}
	}
	p.h.Skip(2 * time.Minute)
	if _, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || len(codes) > 0 {
		t.Errorf("got %v and %d new codes, want none", o.err, len(codes))
	}
}

// dialRaw is a connection of a node that does what the test says.
func dialRaw(t *testing.T, u hub.URL, key *identity.Key, events chan hub.Event) *agent.Conn {
	t.Helper()
	c, err := agent.Dial(t.Context(), agent.Options{URL: u, Key: key, Instance: hub.NewID()}, func(e hub.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(context.WithoutCancel(t.Context()))
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

// A code that is over brings a new one.
func TestExpiredCode(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, _, _ := offer(t, p.bob, nil)
	first := <-codes
	p.h.Skip(hub.CodeLife)
	if _, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: first.code}); agent.CodeOf(err) != hub.CodeNoCode {
		t.Errorf("got %v, want %s", err, hub.CodeNoCode)
	}
}

// A hub that was restarted knows no plates: the user gets a new code and is told why.
func TestCodeAtRestart(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	first := <-codes
	p.h.Stop()
	p.h.Guests = true // the plates of the new hub are longer, so that none is the old one
	if err := p.h.Start(); err != nil {
		t.Fatal(err)
	}
	second := <-codes
	if second.why == nil || !strings.Contains(second.why.Error(), "restarted") || second.code.Words == first.code.Words {
		t.Errorf("got %v, %v after %v", second.code, second.why, first.code)
	}
	alice, _ := start(t, p.h.URL(), p.aliceKey, nil)
	if _, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: second.code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil {
		t.Error(o.err)
	}
}

// A restarted hub gives a code its number again if the number is free, so that a user who
// was told the code before can use it.
func TestCodeKeptAtRestart(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, _ := offer(t, p.bob, nil)
	first := (<-codes).code
	for range 2 {
		restart(t, p.h)
		waitFor(t, "the box is open", func() bool { return p.h.Broker.Count().Codes == 1 })
	}
	waitFor(t, "the dialer is there", func() bool { return knowsNobody(t, p.alice) })
	s, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: first})
	if err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || *o.s.Keys != *s.Keys || len(codes) > 0 {
		t.Errorf("got %v and %d new codes, want none", o.err, len(codes))
	}
}

// The hub dies when one end alone knows of a claim: the other one is told by the hub that
// follows, and the code is used.
func TestHalfClaimedAtRestart(t *testing.T) {
	t.Parallel()
	for _, dialerKnows := range []bool{true, false} {
		h := openHub(t)
		var nets [2]gate // the listener's, the dialer's
		var agents [2]*agent.Agent
		for i := range agents {
			agents[i] = agent.New(agent.Options{URL: h.URL(), Key: member(t, h), Instance: hub.NewID(), DialContext: nets[i].dial})
			run(t, agents[i])
		}
		codes, end, _ := offer(t, agents[0], nil)
		code := (<-codes).code
		waitFor(t, "the dialer is there", func() bool { return knowsNobody(t, agents[1]) })
		deaf := &nets[0] // does not hear of the claim
		if !dialerKnows {
			deaf = &nets[1]
		}
		deaf.deafen()
		dialed := make(chan offered, 1)
		go func() {
			s, err := agents[1].DialCode(t.Context(), agent.CodeAsk{Code: code})
			dialed <- offered{s, err}
		}()
		<-deaf.missed
		knows := agents[0]
		if dialerKnows {
			knows = agents[1]
		}
		knowsNobody(t, knows) // what came before the answer is there
		restart(t, h)
		deaf.open()
		d, o := <-dialed, <-end
		if d.err != nil || o.err != nil || d.s.ID != o.s.ID || len(codes) > 0 {
			t.Errorf("dialer knows %v: got %v and %v, and %d new codes, want none", dialerKnows, d.err, o.err, len(codes))
		}
	}
}

// knowsNobody asks the hub, and reports whether it has answered.
func knowsNobody(t *testing.T, a *agent.Agent) bool {
	t.Helper()
	_, err := a.Lookup(t.Context(), "nobody")
	return agent.CodeOf(err) == hub.CodeNotFound
}

// gate is the network of a node. While it is closed, bytes that arrive for the node are lost.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil: it is open
	missed chan struct{} // gets an element when something was kept back
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return gated{c, g}, err
}

// deafen closes the gate.
func (g *gate) deafen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.missed = make(chan struct{}), make(chan struct{}, 16)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

// gated is a connection through a gate.
type gated struct {
	net.Conn
	g *gate
}

// Read loses bytes that arrive while the gate is closed, and then the connection is over.
func (c gated) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.g.mu.Lock()
	closed, missed := c.g.closed, c.g.missed
	c.g.mu.Unlock()
	if closed == nil || err != nil {
		return n, err
	}
	missed <- struct{}{}
	<-closed
	return 0, net.ErrClosed
}

// The hub is restarted between the claim and the confirm: the listener opens the same box
// again, and the dialer confirms it there.
func TestClaimedAtRestart(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, _ := start(t, h.URL(), member(t, h), nil)
	codes, end, _ := offer(t, bob, nil)
	code := (<-codes).code
	var hook atomic.Pointer[func()]
	key, state := member(t, h), make(chan error, 64)
	alice := agent.New(agent.Options{URL: h.URL(), Key: key, Instance: hub.NewID(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return hooked{c, &hook}, err
	}})
	alice.OnState = func(err error) { state <- err }
	run(t, alice)
	if err := <-state; err != nil {
		t.Fatal(err)
	}
	restarts := 0
	beforeConfirm := func() {
		restarts++
		_, _ = bob.Lookup(t.Context(), "nobody") // what came to bob before the answer is there: that the code is claimed
		h.Stop()
		if err := h.Start(); err != nil {
			t.Error(err)
		}
	}
	beforeClaim := func() { hook.Store(&beforeConfirm) }
	hook.Store(&beforeClaim)
	s, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || o.s.Peer != key.ID() || *o.s.Keys != *s.Keys || len(codes) > 0 || restarts != 1 {
		t.Errorf("got %v with %s, %d new codes and %d restarts, want none and 1", o.err, o.s.Peer.Short(), len(codes), restarts)
	}
}

// The hub is restarted between the confirm and its answer: both ends go on by the box.
func TestConfirmedAtRestart(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	undone := make(chan bool, 1)
	codes, end, _ := offer(t, p.bob, func(agent.CodeDialer) (hub.Grant, func(), error) {
		p.h.Stop()
		if err := p.h.Start(); err != nil {
			t.Error(err)
		}
		return hub.Grant{Method: hub.MethodKey}, func() { undone <- true }, nil
	})
	s, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code})
	if err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || *o.s.Keys != *s.Keys || len(undone) > 0 || len(codes) > 0 {
		t.Errorf("got %v, keys the same: %v, %d undone, %d new codes", o.err, o.err == nil && *o.s.Keys == *s.Keys, len(undone), len(codes))
	}
}

// Who no longer waits says so, and takes back what was granted.
func TestCodeCancelled(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, end, cancel := offer(t, p.bob, nil)
	c := <-codes
	cancel()
	if o := <-end; !errors.Is(o.err, context.Canceled) {
		t.Errorf("got %v, want %v", o.err, context.Canceled)
	}
	_, err := p.alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code})
	if err != nil && agent.CodeOf(err) != hub.CodeNoCode { // the hub took the claim before bob's burn
		_, err = p.alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code})
	}
	if agent.CodeOf(err) != hub.CodeNoCode {
		t.Errorf("got %v, want %s", err, hub.CodeNoCode)
	}
	codes, end, _ = offer(t, p.bob, func(agent.CodeDialer) (hub.Grant, func(), error) {
		return hub.Grant{}, nil, proto.Errorf(proto.Busy, "no place")
	})
	_, err = p.alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code})
	xtest.WantCode(t, "no grant", err, proto.Denied)
	xtest.WantCode(t, "no place", (<-end).err, proto.Busy)
}

func TestOwnCode(t *testing.T) {
	t.Parallel()
	p := newCodePair(t)
	codes, _, _ := offer(t, p.bob, nil)
	_, err := p.bob.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code})
	xtest.WantCode(t, "own code", err, proto.Identity)
}

// Without a hub there is no code: the error is that of the login.
func TestCodeWithoutHub(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	h.Stop()
	a, _ := start(t, h.URL(), xtest.NewKey(t), nil)
	_, end, _ := offer(t, a, nil)
	xtest.WantCode(t, "offer", (<-end).err, proto.Unreachable)
	_, err := a.DialCode(t.Context(), agent.CodeAsk{Code: hub.NewCode(7, "")})
	xtest.WantCode(t, "dial", err, proto.Unreachable)
}

// A hub with guests lets a node without membership claim a code.
func TestGuestCode(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	h.Stop()
	h.Guests = true
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	bob, _ := start(t, h.URL(), member(t, h), nil)
	codes, end, _ := offer(t, bob, nil)
	c := (<-codes).code
	if c.Plate < 100 || c.Host != "" {
		t.Errorf("got plate %d, host %q; want three digits, and no host: the certificate is the hub's own", c.Plate, c.Host)
	}
	key := xtest.NewKey(t)
	guest, _ := start(t, h.URL(), key, nil)
	if _, err := guest.DialCode(t.Context(), agent.CodeAsk{Code: c}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || o.s.Peer != key.ID() {
		t.Errorf("got %s, %v", o.s.Peer.Short(), o.err)
	}
	_, err := guest.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody})
	xtest.WantCode(t, "a request of a guest", err, proto.Denied)
}

// A code ends in the host where whoever gets it can log in there without any setting.
func TestCodeHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url             string
		trusted, guests bool
		want            string
	}{
		{"wss://hub.example", true, true, "hub.example"},
		{"wss://hub.example:8443", true, true, "hub.example:8443"},
		{"wss://hub.example/hub", true, true, ""},
		{"wss://hub.example", false, true, ""},
		{"wss://hub.example", true, false, ""},
	} {
		u, err := hub.ParseURL(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := agent.CodeHost(u, tt.trusted, tt.guests); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

// A hub that dies after it has taken the listener's answer, and before it has passed it on, costs
// nothing: the dialer repeats its proof, and the listener its answer.
func TestCodeAnswerLost(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bobKey, aliceKey := member(t, h), member(t, h)
	var mu sync.Mutex
	var conns []net.Conn
	back := make(chan struct{})
	cut := false
	alice := agent.New(agent.Options{URL: h.URL(), Key: aliceKey, Instance: hub.NewID(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		wait := cut
		mu.Unlock()
		if wait {
			select {
			case <-back:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, c)
		}
		return c, err
	}})
	run(t, alice)
	bob, _ := start(t, h.URL(), bobKey, nil)
	grants := 0
	codes, end, _ := offer(t, bob, func(agent.CodeDialer) (hub.Grant, func(), error) {
		mu.Lock()
		defer mu.Unlock()
		grants++
		cut = true
		for _, c := range conns {
			_ = c.Close()
		}
		return hub.Grant{Method: hub.MethodKey, Caps: "send"}, nil, nil
	})
	dialed := make(chan offered, 1)
	code := (<-codes).code
	go func() {
		s, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: code})
		dialed <- offered{s, err}
	}()
	o := <-end
	if o.err != nil {
		t.Fatal(o.err)
	}
	h.Stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	close(back)
	d := <-dialed
	if d.err != nil || d.s.Peer != bobKey.ID() || d.s.Grant.Caps != "send" || d.s.ID != o.s.ID {
		t.Errorf("the dialer got %+v, %v, want the session of the listener", d.s, d.err)
	}
	if grants != 1 || len(codes) > 0 {
		t.Errorf("got %d grants and %d codes more, want 1 and none", grants, len(codes))
	}
}
