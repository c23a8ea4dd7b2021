package agent_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/xtest"
)

// A binding names a connection by any of its bytes.
func TestNames(t *testing.T) {
	t.Parallel()
	if agent.Names(make([]byte, hub.BindingBytes)) {
		t.Error("zeros: got true, want false")
	}
	for i := range hub.BindingBytes {
		b := make([]byte, hub.BindingBytes)
		b[i] = 1
		if !agent.Names(b) {
			t.Errorf("byte %d is set: got false, want true", i)
		}
	}
}

// The outcome of a request, by what the peer is.
func TestRequestCodes(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob := member(t, h)
	listener(t, h.URL(), bob, "bob")
	alice, _ := start(t, h.URL(), member(t, h), nil)
	for _, tt := range []struct {
		to   string
		kind hub.Kind
		code string
		want proto.Code
	}{
		{"bob", hub.KindPipe, "", proto.OK},
		{"bob", hub.KindTTY, hub.CodeOffline, proto.Unreachable},
		{"carol", hub.KindPipe, hub.CodeNotFound, proto.Unreachable},
		{xtest.NewKey(t).ID().String(), hub.KindPipe, hub.CodeNotFound, proto.Unreachable},
	} {
		_, err := alice.Request(t.Context(), agent.Ask{To: tt.to, Kind: tt.kind, Want: proto.CapSend, Judge: anybody})
		xtest.WantCode(t, tt.to, err, tt.want)
		if got := agent.CodeOf(err); got != tt.code {
			t.Errorf("%s %s: got code %q, want %q", tt.to, tt.kind, got, tt.code)
		}
	}
	p, err := alice.Lookup(t.Context(), "bob")
	if err != nil || p.Node != bob.ID() || !p.Online || len(p.Kinds) != 1 || p.Kinds[0] != hub.KindPipe {
		t.Errorf("lookup: got %+v, %v", p, err)
	}
}

// A request fails at once while the hub is down, and succeeds once it is back.
func TestHubDown(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, key := member(t, h), member(t, h)
	h.Stop()
	state := make(chan error, 1024)
	alice, _ := start(t, h.URL(), key, func(a *agent.Agent) {
		a.OnState = func(err error) { state <- err }
	})
	ask := agent.Ask{To: bob.ID().String(), Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody}
	_, err := alice.Request(t.Context(), ask)
	xtest.WantCode(t, "request", err, proto.Unreachable)
	if !errors.Is(err, agent.ErrLogin) {
		t.Errorf("got %v, want that no login was possible", err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	for err := range state {
		if err == nil {
			break
		}
		xtest.WantCode(t, "state", err, proto.Unreachable)
	}
	_, err = alice.Request(t.Context(), ask)
	if got := agent.CodeOf(err); got != hub.CodeOffline {
		t.Errorf("got %v, want that the peer is offline", err)
	}
}

// WaitOnline wakes when the peer logs in, also if the hub was restarted meanwhile.
func TestWaitOnline(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob := member(t, h)
	back := make(chan error, 64)
	alice, _ := start(t, h.URL(), member(t, h), func(a *agent.Agent) {
		a.OnState = func(err error) { back <- err }
	})
	done := make(chan error, 1)
	go func() { done <- alice.WaitOnline(t.Context(), bob.ID().String(), hub.KindPipe) }()
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	h.Stop()
	if err := <-back; err == nil {
		t.Fatal("the hub has stopped: got no loss")
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	listener(t, h.URL(), bob, "bob")
	if err := <-done; err != nil {
		t.Errorf("got %v, want that bob is online", err)
	}
	err := alice.WaitOnline(t.Context(), "carol", hub.KindPipe)
	if got := agent.CodeOf(err); got != hub.CodeNotFound {
		t.Errorf("carol: got %v, want that the hub does not know the peer", err)
	}
}

// The dialer's end of its context takes the request back at the listener.
func TestCancel(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob := member(t, h)
	asked, undone, registered := make(chan bool), make(chan error, 1), make(chan bool, 1)
	start(t, h.URL(), bob, func(a *agent.Agent) {
		a.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
		a.OnRegistered = func(hub.Register, hub.Registered) { registered <- true }
		a.OnOffer = func(ctx context.Context, _ agent.Offer) agent.Answer {
			asked <- true
			<-ctx.Done()
			undone <- ctx.Err()
			return agent.Answer{}
		}
	})
	<-registered
	alice, _ := start(t, h.URL(), member(t, h), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := alice.Request(ctx, agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody})
		done <- err
	}()
	<-asked
	cancel()
	if err := <-done; err == nil {
		t.Error("request: got no error")
	}
	if err := <-undone; err != context.Canceled {
		t.Errorf("listener: got %v, want that the request is cancelled", err)
	}
}

// hooked calls a hook before each write.
type hooked struct {
	net.Conn
	hook *atomic.Pointer[func()]
}

func (c hooked) Write(b []byte) (int, error) {
	if f := c.hook.Swap(nil); f != nil {
		(*f)()
	}
	return c.Conn.Write(b)
}

// A caller that gives up while its event is written does not end the connection, which
// others use too.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	var hook atomic.Pointer[func()]
	a := agent.New(agent.Options{URL: h.URL(), Key: member(t, h), Instance: hub.NewID(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return hooked{c, &hook}, err
	}})
	state := make(chan error, 64)
	a.OnState = func(err error) { state <- err }
	run(t, a)
	if err := <-state; err != nil {
		t.Fatal(err)
	}
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		give := func() { cancel() }
		hook.Store(&give)
		_, _ = a.Lookup(ctx, "bob")
	}
	_, err := a.Lookup(t.Context(), "bob")
	if got := agent.CodeOf(err); got != hub.CodeNotFound || len(state) > 0 {
		t.Errorf("got %v and %d changes of the connection, want %s and none", err, len(state), hub.CodeNotFound)
	}
}
