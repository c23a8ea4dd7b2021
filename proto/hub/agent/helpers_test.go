package agent_test

import (
	"context"
	"sync"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

func openHub(t *testing.T) *hubtest.Hub {
	t.Helper()
	h, err := hubtest.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Stop() })
	return h
}

func member(t *testing.T, h *hubtest.Hub) *identity.Key {
	t.Helper()
	k := xtest.NewKey(t)
	if err := h.AddMember(k.ID()); err != nil {
		t.Fatal(err)
	}
	return k
}

// start runs an agent until the test ends, or stop is called.
func start(t *testing.T, u hub.URL, key *identity.Key, set func(*agent.Agent)) (a *agent.Agent, stop func()) {
	t.Helper()
	a = agent.New(agent.Options{URL: u, Key: key, Instance: hub.NewID()})
	if set != nil {
		set(a)
	}
	return a, run(t, a)
}

// run runs an agent until the test ends, or stop is called.
func run(t *testing.T, a *agent.Agent) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// listener runs an agent under a name, which accepts what others ask for, and waits
// until it is registered. It sends each offer to the channel.
func listener(t *testing.T, u hub.URL, key *identity.Key, name string) <-chan agent.Offer {
	t.Helper()
	offers, registered := make(chan agent.Offer, 16), make(chan hub.Registered, 16)
	start(t, u, key, func(a *agent.Agent) {
		a.Registers = []hub.Register{{Name: name, Kinds: []hub.Kind{hub.KindPipe}}}
		a.OnRegistered = func(_ hub.Register, got hub.Registered) { registered <- got }
		a.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
			offers <- o
			accept, _, err := o.Request.Accept(key, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Caps: "send"})
			if err != nil {
				t.Error(err)
			}
			return agent.Answer{Accept: accept}
		}
	})
	if got := <-registered; got.Code != "" {
		t.Fatalf("register %s: got %q", name, got.Code)
	}
	return offers
}

// only accepts one peer.
func only(want identity.ID) func(context.Context, agent.Claim) error {
	return func(_ context.Context, c agent.Claim) error {
		if c.Peer != want {
			return proto.Errorf(proto.Identity, "the hub names %s, want %s", c.Peer.Short(), want.Short())
		}
		return nil
	}
}

func anybody(context.Context, agent.Claim) error { return nil }
