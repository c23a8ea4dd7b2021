package serve_test

import (
	"context"
	"sync"
	"testing"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
)

// sessionsOfPair is how many sessions each pair of members has: fewer than a node may ask
// for at once.
const sessionsOfPair = 16

// BenchmarkMembers logs two members in, lets one of them have sessions with the other, and
// logs them out. The hub and its members are all in this process.
func BenchmarkMembers(b *testing.B) {
	h, err := hubtest.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer h.Stop()
	b.ReportAllocs()
	for b.Loop() {
		meet(b, h)
	}
}

// meet lets two new members have sessions.
func meet(b *testing.B, h *hubtest.Hub) {
	b.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	offers, created := make(chan hub.Event, 1), make(chan hub.Event, 1)
	dialer, d := login(b, &wg, h, created)
	defer d.Close()
	listener, l := login(b, &wg, h, offers)
	defer l.Close()
	if _, err := l.Call(b.Context(), hub.TypeRegister, &hub.Register{Kinds: []hub.Kind{hub.KindPipe}}); err != nil {
		b.Fatal(err)
	}
	for range sessionsOfPair {
		r := &hub.Request{Session: hub.NewID(), To: listener.ID().String(), Kind: hub.KindPipe, Want: "send", Seal: hub.NewNonce(hub.SealKeyBytes)}
		r.Sign(dialer, d.Hub)
		if _, err := d.Call(b.Context(), hub.TypeRequest, r); err != nil {
			b.Fatal(err)
		}
		var o hub.Offer
		if err := (<-offers).Read(&o); err != nil {
			b.Fatal(err)
		}
		a := &hub.Accept{Session: o.Request.Session, Sealed: hub.NewNonce(1300), Sig: hub.NewNonce(hub.SignatureBytes)}
		if err := l.Send(b.Context(), hub.TypeAccept, a); err != nil {
			b.Fatal(err)
		}
		if got := <-created; got.Type != hub.TypeCreated {
			b.Fatalf("got %s, want %s", got.Type, hub.TypeCreated)
		}
		<-offers // the listener's created
	}
}

// login makes a new member and logs it in. Its events go to a channel.
func login(b *testing.B, wg *sync.WaitGroup, h *hubtest.Hub, events chan<- hub.Event) (*identity.Key, *agent.Conn) {
	b.Helper()
	k, err := identity.NewKey()
	if err == nil {
		err = h.AddMember(k.ID())
	}
	if err != nil {
		b.Fatal(err)
	}
	c, err := agent.Dial(b.Context(), agent.Options{URL: h.URL(), Key: k, Instance: hub.NewID()}, func(e hub.Event) { events <- e })
	if err != nil {
		b.Fatal(err)
	}
	wg.Go(func() { _ = c.Run(context.WithoutCancel(b.Context())) })
	return k, c
}
