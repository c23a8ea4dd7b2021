package agent_test

import (
	"context"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// offersRelay alters the events of a hub without a relay: each end of a session gets one,
// whose permit names the event and the role.
func offersRelay(_ identity.ID, e hub.Event) []hub.Event {
	relayed := func(permit string) []hub.Relay {
		return []hub.Relay{{URL: "tcp://hub.example:443", Permit: permit, MaxBPS: 1000}}
	}
	var data hub.Data
	var c hub.Created
	var o hub.Offer
	switch {
	case e.Type == hub.TypeCreated && e.Read(&c) == nil:
		c.Relay = relayed("created for the " + c.Role)
		data = &c
	case e.Type == hub.TypeOffer && e.Read(&o) == nil:
		o.Relay = relayed("offer")
		data = &o
	default:
		return []hub.Event{e}
	}
	altered, err := hub.New(e.Type, data)
	if err != nil {
		panic(err)
	}
	altered.From, altered.Name = e.From, e.Name
	return []hub.Event{altered}
}

func wantRelay(t *testing.T, what string, got []hub.Relay, permit string) {
	t.Helper()
	if len(got) != 1 || got[0].Permit != permit || got[0].MaxBPS != 1000 {
		t.Errorf("%s: got the relays %v, want one with the permit %q", what, got, permit)
	}
}

// Both ends get the relays that the hub offers, each its own, by name and by code.
func TestRelays(t *testing.T) {
	t.Parallel()
	l, err := hubtest.OpenLiar(offersRelay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	bob, alice := xtest.NewKey(t), xtest.NewKey(t)
	offers := listener(t, l.URL(), bob, "bob")
	a, _ := start(t, l.URL(), alice, nil)
	s, err := a.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())})
	if err != nil {
		t.Fatal(err)
	}
	wantRelay(t, "dialer", s.Relays, "created for the dialer")
	wantRelay(t, "listener", (<-offers).Relays, "offer")

	shower, _ := start(t, l.URL(), bob, nil)
	codes, done := make(chan hub.Code, 1), make(chan agent.Session, 1)
	go func() {
		s, err := shower.OfferCode(t.Context(), agent.CodeOffer{
			Kind: hub.KindPipe, Show: func(c hub.Code, _ error) { codes <- c },
			Grant: func(context.Context, agent.CodeDialer) (hub.Grant, func(), error) {
				return hub.Grant{Method: hub.MethodKey}, nil, nil
			},
		})
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	s, err = a.DialCode(t.Context(), agent.CodeAsk{Code: <-codes})
	if err != nil {
		t.Fatal(err)
	}
	wantRelay(t, "dialer of a code", s.Relays, "created for the dialer")
	wantRelay(t, "listener of a code", (<-done).Relays, "created for the listener")
}

// A request with a bearer is asked of each instance of the node, and the one that knows the
// secret answers, whatever kinds and names they have.
func TestBearerRequest(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := member(t, h), member(t, h)
	secret := []byte("a secret that one instance knows")
	online := make(chan hub.Registered, 8)
	for _, knows := range []bool{false, true, false} {
		start(t, h.URL(), bob, func(a *agent.Agent) {
			a.Registers = []hub.Register{{Kinds: []hub.Kind{hub.KindTTY}}}
			a.OnRegistered = func(_ hub.Register, got hub.Registered) { online <- got }
			a.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
				b := o.Request.Bearer
				if !knows || b == nil || b.Method != hub.MethodResume || !b.Proves(secret, o.Request.Session, o.From, bob.ID()) {
					return agent.Answer{Decline: hub.CodeDenied}
				}
				accept, _, err := o.Request.Accept(bob, o.Hub, o.From, hub.Grant{Method: hub.MethodResume})
				if err != nil {
					t.Error(err)
				}
				return agent.Answer{Accept: accept}
			}
		})
	}
	for range 3 {
		<-online
	}
	a, _ := start(t, h.URL(), alice, nil)
	ask := agent.Ask{To: bob.ID().String(), Kind: hub.KindPipe, Judge: only(bob.ID())}
	for what, with := range map[string][]byte{"right": secret, "wrong": []byte("another")} {
		ask.Bearer = func(session hub.ID) *hub.Bearer {
			return hub.NewBearer(hub.MethodResume, []byte("transfer"), with, session, alice.ID(), bob.ID())
		}
		s, err := a.Request(t.Context(), ask)
		switch {
		case what == "wrong":
			xtest.WantCode(t, "wrong secret", err, proto.Denied)
		case err != nil:
			t.Fatal(err)
		case s.Grant.Method != hub.MethodResume:
			t.Errorf("got the method %q, want %q", s.Grant.Method, hub.MethodResume)
		}
	}
}
