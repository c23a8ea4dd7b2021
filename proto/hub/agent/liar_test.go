package agent_test

import (
	"context"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// edit returns an alter function that changes the data of one type of event.
func edit[D any, P interface {
	*D
	hub.Data
}](typ string, change func(*hub.Event, P)) func(identity.ID, hub.Event) []hub.Event {
	return func(_ identity.ID, e hub.Event) []hub.Event {
		var d D
		if e.Type != typ || e.Read(P(&d)) != nil {
			return []hub.Event{e}
		}
		change(&e, &d)
		altered, err := hub.New(typ, P(&d))
		if err != nil {
			panic(err)
		}
		altered.ID, altered.Ref, altered.From, altered.Name = e.ID, e.Ref, e.From, e.Name
		return []hub.Event{altered}
	}
}

// A hub that lies about who answered, or changes what the listener has sealed, is found
// out before anything of the answer is believed.
func TestLyingCreated(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	for _, tt := range []struct {
		name  string
		judge func(bob identity.ID) func(context.Context, agent.Claim) error
		lie   func(*hub.Event, *hub.Created)
	}{
		{"another peer than the pinned one", only, func(_ *hub.Event, c *hub.Created) { c.Peer = mallory.ID() }},
		{"another peer, for a bare name", func(identity.ID) func(context.Context, agent.Claim) error { return anybody }, func(_ *hub.Event, c *hub.Created) { c.Peer = mallory.ID() }},
		{"altered candidates", only, func(_ *hub.Event, c *hub.Created) { c.SessionToken[len(c.SessionToken)-1] ^= 1 }},
		{"altered key", only, func(_ *hub.Event, c *hub.Created) { c.SessionToken[0] ^= 1 }},
		{"altered signature", only, func(_ *hub.Event, c *hub.Created) { c.Sig[0] ^= 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bob := xtest.NewKey(t)
			l := openLiar(t, edit(hub.TypeCreated, func(e *hub.Event, c *hub.Created) {
				if c.Role == hub.RoleDialer { // the listener gets nothing sealed
					tt.lie(e, c)
				}
			}))
			listener(t, l.URL(), bob, "bob")
			alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
			_, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: tt.judge(bob.ID())})
			xtest.WantCode(t, "request", err, proto.Identity)
		})
	}
}

func openLiar(t *testing.T, alter func(identity.ID, hub.Event) []hub.Event) *hubtest.Liar {
	t.Helper()
	l, err := hubtest.OpenLiar(alter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

// A listener does not see an offer whose dialer did not sign it.
func TestForgedOffer(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t).ID()
	for _, tt := range []struct {
		name string
		lie  func(*hub.Event, *hub.Offer)
	}{
		{"from", func(e *hub.Event, _ *hub.Offer) { e.From = mallory }},
		{"rights", func(_ *hub.Event, o *hub.Offer) { o.Request.Want = "send,recv" }},
		{"kind", func(_ *hub.Event, o *hub.Offer) { o.Request.Kind = hub.KindTTY }},
		{"session", func(_ *hub.Event, o *hub.Offer) { o.Request.Session[0] ^= 1 }},
		{"key", func(_ *hub.Event, o *hub.Offer) { o.Request.Seal[0] ^= 1 }},
		{"peer", func(_ *hub.Event, o *hub.Offer) { o.Request.To = "carol" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// The true offer follows the forged one, so that the test sees the end of both.
			forge := edit(hub.TypeOffer, tt.lie)
			l := openLiar(t, func(to identity.ID, e hub.Event) []hub.Event {
				if e.Type != hub.TypeOffer {
					return []hub.Event{e}
				}
				return append(forge(to, e), e)
			})
			bob := xtest.NewKey(t)
			offers := listener(t, l.URL(), bob, "bob")
			key := xtest.NewKey(t)
			alice, _ := start(t, l.URL(), key, nil)
			s, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())})
			if err != nil {
				t.Fatal(err)
			}
			if o := <-offers; o.From != key.ID() || o.Request.Want != "send" || o.Request.Kind != hub.KindPipe || o.Request.Session != s.ID || o.Request.To != "bob" {
				t.Errorf("got an offer of %s for %s %s to %s, want that of %s", o.From.Short(), o.Request.Kind, o.Request.Want, o.Request.To, key.ID().Short())
			}
			if len(offers) > 0 {
				t.Errorf("got %d offers more, want none", len(offers))
			}
		})
	}
}

// An offer that the hub shows again is decided once: the answer is repeated.
func TestReplayedOffer(t *testing.T) {
	t.Parallel()
	answers := make(chan hub.Event, 16)
	l := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		if e.Type == hub.TypeOffer {
			return []hub.Event{e, e, e}
		}
		if e.Type == hub.TypeCreated {
			answers <- e
		}
		return []hub.Event{e}
	})
	bob := xtest.NewKey(t)
	offers := listener(t, l.URL(), bob, "bob")
	alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	for range 2 {
		if _, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := <-offers, <-offers
	if first.Request.Session == second.Request.Session {
		t.Error("the first session was decided twice")
	}
	if len(offers) > 0 {
		t.Errorf("got %d offers more than 2", len(offers))
	}
}

// Another request under the id of one that was decided is dropped, although its dialer has
// signed it.
func TestAnotherRequest(t *testing.T) {
	t.Parallel()
	bob, key := xtest.NewKey(t), xtest.NewKey(t)
	var l *hubtest.Liar
	l = openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		var o hub.Offer
		if e.Type != hub.TypeOffer || e.Read(&o) != nil {
			return []hub.Event{e}
		}
		all := []hub.Event{e}
		for _, want := range []string{"recv", "send,recv", "tty:view"} {
			o.Request.Want = want
			o.Request.Sign(key, l.Key.ID())
			other, err := hub.New(e.Type, &o)
			if err != nil {
				panic(err)
			}
			other.From = e.From
			all = append(all, other)
		}
		return append(all, e)
	})
	offers := listener(t, l.URL(), bob, "bob")
	alice, _ := start(t, l.URL(), key, nil)
	for range 2 {
		if _, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())}); err != nil {
			t.Fatal(err)
		}
		if o := <-offers; o.Request.Want != "send" {
			t.Errorf("got a request for %s, want send", o.Request.Want)
		}
	}
	if len(offers) > 0 {
		t.Errorf("%d requests more were decided, the first one for %s", len(offers), (<-offers).Request.Want)
	}
}

// A listener repeats its answer for a request that it has answered before: the hub may have
// been restarted before it passed the first one on.
func TestAnswerRepeated(t *testing.T) {
	t.Parallel()
	var shown hub.Event
	created := 0
	l := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event { // with the broker's lock held
		switch e.Type {
		case hub.TypeOffer:
			shown = e
		case hub.TypeCreated:
			var c hub.Created
			if created++; created > 2 || e.Read(&c) != nil {
				break
			}
			if c.Role == hub.RoleDialer {
				return nil // the first answer is lost
			}
			return []hub.Event{shown}
		}
		return []hub.Event{e}
	})
	bob := xtest.NewKey(t)
	offers := listener(t, l.URL(), bob, "bob")
	alice, _ := start(t, l.URL(), xtest.NewKey(t), func(a *agent.Agent) { agent.SetOutcomeIn(a, 10*time.Second) })
	if _, err := alice.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: only(bob.ID())}); err != nil {
		t.Error(err)
	}
	if n := len(offers); n != 1 {
		t.Errorf("the request was decided %d times, want once", n)
	}
}

// A hub that says it is another one, or that promises what it does not prove.
func TestLyingLogin(t *testing.T) {
	t.Parallel()
	other := xtest.NewKey(t).ID()
	for _, tt := range []struct {
		name string
		lie  func(*hub.Event, *hub.Challenge)
	}{
		{"key", func(_ *hub.Event, c *hub.Challenge) { c.Hub = other }},
		{"proof", func(_ *hub.Event, c *hub.Challenge) { c.Proof[0] ^= 1 }},
		{"nonce", func(_ *hub.Event, c *hub.Challenge) { c.Nonce[0] ^= 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := openLiar(t, edit(hub.TypeChallenge, tt.lie))
			_, err := agent.Dial(t.Context(), agent.Options{URL: l.URL(), Key: xtest.NewKey(t), Instance: hub.NewID()}, func(hub.Event) {})
			xtest.WantCode(t, "login", err, proto.Identity)
		})
	}
}
