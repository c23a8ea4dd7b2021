package agent_test

import (
	"context"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// asked is an agent that asks a person about each request.
type asked struct {
	offers     chan agent.Offer
	yes        chan struct{} // an element is a person's yes
	registered chan hub.Registered
}

// A hub that is restarted while a person is asked does not end the request, although the
// listener comes back later than the dialer: the question goes on, the hub is told again
// that a person is asked, and the dialer gets the answer. The person is asked once.
func TestRestartWhileAsked(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := member(t, h), member(t, h)
	of := asked{make(chan agent.Offer, 16), make(chan struct{}), make(chan hub.Registered, 16)}
	listens := func(a *agent.Agent) {
		a.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
		a.OnRegistered = func(_ hub.Register, got hub.Registered) { of.registered <- got }
		a.OnOffer = func(ctx context.Context, o agent.Offer) agent.Answer {
			o.Pending()
			of.offers <- o
			select {
			case <-of.yes:
			case <-ctx.Done():
				return agent.Answer{}
			}
			accept, _, err := o.Request.Accept(bob, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Caps: "send"})
			if err != nil {
				t.Error(err)
			}
			return agent.Answer{Accept: accept}
		}
	}
	start(t, h.URL(), bob, listens)
	<-of.registered
	pending, outcome := make(chan struct{}, 16), make(chan error, 1)
	dialer, _ := start(t, h.URL(), alice, nil)
	go func() {
		_, err := dialer.Request(t.Context(), agent.Ask{
			To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID()), Pending: func() { pending <- struct{}{} },
		})
		outcome <- err
	}()
	<-of.offers
	<-pending
	h.Stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	<-of.registered
	waitFor(t, "the hub knows that a person is asked", func() bool {
		all, _ := h.Broker.Sessions(identity.ID{}, broker.Page{Limit: 2})
		return len(all) == 1 && all[0].State == "pending"
	})
	of.yes <- struct{}{}
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	if len(of.offers) > 0 || len(pending) > 0 {
		t.Errorf("got %d offers and %d notes more, want none", len(of.offers), len(pending))
	}
}

// A dialer that comes back to a restarted hub before the listener does waits for it.
func TestRestartListenerLater(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := member(t, h), member(t, h)
	got, registered := make(chan agent.Offer, 16), make(chan hub.Registered, 16)
	silent := func(a *agent.Agent) {
		a.Registers = []hub.Register{{Name: "bob", Kinds: []hub.Kind{hub.KindPipe}}}
		a.OnRegistered = func(_ hub.Register, got hub.Registered) { registered <- got }
		a.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
			got <- o
			return agent.Answer{} // no answer: the hub is stopped first
		}
	}
	_, stop := start(t, h.URL(), bob, silent)
	outcome := make(chan error, 1)
	dialer, _ := start(t, h.URL(), alice, nil)
	<-registered
	go func() {
		_, err := dialer.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())})
		outcome <- err
	}()
	first := <-got
	h.Stop()
	stop()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the dialer is back", func() bool { return h.Broker.Count().Connections > 0 })
	offers := listener(t, h.URL(), bob, "bob")
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	if again := <-offers; again.Request.Session != first.Request.Session || string(again.Request.Sig) != string(first.Request.Sig) {
		t.Error("the request was not repeated byte for byte")
	}
}

// A hub that takes a request and never says what became of it is given up, and the peer's
// question is taken back.
func TestSilentHub(t *testing.T) {
	t.Parallel()
	bob := xtest.NewKey(t)
	l := openLiar(t, edit(hub.TypeCreated, func(e *hub.Event, c *hub.Created) {
		if c.Role == hub.RoleDialer {
			c.Session[0] ^= 1
		}
	}))
	listener(t, l.URL(), bob, "bob")
	dialer, _ := start(t, l.URL(), xtest.NewKey(t), func(a *agent.Agent) {
		if got, want := agent.SetOutcomeIn(a, 2*time.Second), hub.AnswerTimeout+10*time.Second; got != want {
			t.Errorf("a request waits %v, want %v", got, want)
		}
	})
	_, err := dialer.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())})
	xtest.WantCode(t, "a hub that says nothing", err, proto.Unreachable)
	waitFor(t, "the session is over", func() bool { return l.Broker.Count().Sessions == 0 })
}

// waitFor waits until f is true.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !f(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not in a minute", what)
		}
	}
}
