package agent_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// A hub that changes what the two ends of a code send is found out, and each of its
// guesses costs the code.
func TestLyingCode(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	id := mallory.ID()
	swapNode := func(ad []byte) { copy(ad[len(ad)-2-16-32:], id[:]) }
	type alter = func(identity.ID, hub.Event) []hub.Event
	claimed := func(lie func(c *hub.CodeClaimed)) alter {
		return edit(hub.TypeCodeClaimed, func(_ *hub.Event, c *hub.CodeClaimed) {
			if len(c.Share) > 0 {
				lie(c)
			}
		})
	}
	confirm := func(lie func(e *hub.Event, c *hub.CodeConfirm)) alter { return edit(hub.TypeCodeConfirm, lie) }
	for _, tt := range []struct {
		name   string
		alter  alter
		want   proto.Code // at the dialer
		counts bool       // a new code is shown
	}{
		{"share of the listener", claimed(func(c *hub.CodeClaimed) { c.Share[3] ^= 1 }), proto.Denied, true},
		{"share of low order", claimed(func(c *hub.CodeClaimed) { clear(c.Share) }), proto.Identity, false},
		{"another node in claimed", claimed(func(c *hub.CodeClaimed) { c.Peer = id }), proto.Identity, false},
		{"another node in claimed and its data", claimed(func(c *hub.CodeClaimed) { c.Peer = id; swapNode(c.AD) }), proto.Denied, true},
		{"another kind", claimed(func(c *hub.CodeClaimed) { c.Kind = hub.KindTTY }), proto.Capability, false},
		{"an own box", func() alter {
			return func(to identity.ID, e hub.Event) []hub.Event {
				return claimed(func(c *hub.CodeClaimed) {
					l, err := hub.OpenCode(id, mallory, hub.KindPipe, c.Box, "aardvark-aardvark-aardvark")
					if err != nil {
						panic(err)
					}
					o := l.Event()
					c.Peer, c.Share, c.AD = id, o.Share, o.AD
				})(to, e)
			}
		}(), proto.Denied, true},
		{"share of the dialer", confirm(func(_ *hub.Event, c *hub.CodeConfirm) { c.Share[3] ^= 1 }), proto.Denied, true},
		{"tag of the dialer", confirm(func(_ *hub.Event, c *hub.CodeConfirm) { c.Tag[0] ^= 1 }), proto.Denied, true},
		{"another dialer", confirm(func(e *hub.Event, _ *hub.CodeConfirm) { e.From = id }), proto.Denied, true},
		{"another dialer and its data", confirm(func(e *hub.Event, c *hub.CodeConfirm) { e.From = id; swapNode(c.AD) }), proto.Denied, true},
		{"tag of the listener", edit(hub.TypeCodeDone, func(_ *hub.Event, d *hub.CodeDone) { d.Tag[0] ^= 1 }), proto.Identity, false},
		{"sealed", edit(hub.TypeCodeDone, func(_ *hub.Event, d *hub.CodeDone) { d.Sealed[0] ^= 1 }), proto.Identity, false},
		{"signature", edit(hub.TypeCodeDone, func(_ *hub.Event, d *hub.CodeDone) { d.Sig[0] ^= 1 }), proto.Identity, false},
		{"share was freed", func(_ identity.ID, e hub.Event) []hub.Event {
			if e.Type != hub.TypeCodeConfirm {
				return []hub.Event{e}
			}
			var c hub.CodeConfirm
			if e.Read(&c) != nil {
				return nil
			}
			freed, err := hub.New(hub.TypeCodeFreed, &hub.CodeFreed{Box: c.Box})
			if err != nil {
				panic(err)
			}
			return []hub.Event{freed, e} // the listener asks for a share that the hub then refuses
		}, proto.Denied, false},
		{"burnt", func(_ identity.ID, e hub.Event) []hub.Event {
			var c hub.CodeDone
			if e.Type != hub.TypeCodeDone || e.Read(&c) != nil {
				return []hub.Event{e}
			}
			burn, err := hub.New(hub.TypeCodeBurn, &hub.CodeBurn{Box: c.Box, Reason: hub.BurnWrong})
			if err != nil {
				panic(err)
			}
			return []hub.Event{burn}
		}, proto.Denied, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := openLiar(t, tt.alter)
			bob, _ := start(t, l.URL(), xtest.NewKey(t), nil)
			codes, end, cancel := offer(t, bob, nil)
			alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
			_, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code, Kinds: []hub.Kind{hub.KindPipe}})
			xtest.WantCode(t, "dial", err, tt.want)
			if tt.counts {
				if c := <-codes; c.why == nil || !strings.Contains(c.why.Error(), "wrong code") {
					t.Errorf("the new code: got why %v, want a wrong code", c.why)
				}
			}
			cancel()
			if o := <-end; tt.counts && o.err == nil {
				t.Errorf("the listener has a session with %s", o.s.Peer.Short())
			}
			if len(codes) > 0 {
				t.Errorf("got %d codes more", len(codes))
			}
		})
	}
}

// What a hub shows again is the same: one dialer gets one grant.
func TestReplayedCode(t *testing.T) {
	t.Parallel()
	l := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		switch e.Type {
		case hub.TypeCodeConfirm, hub.TypeCodeDone, hub.TypeCreated:
			return []hub.Event{e, e, e}
		}
		return []hub.Event{e}
	})
	var grants atomic.Int32
	bob, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	codes, end, _ := offer(t, bob, func(agent.CodeDialer) (hub.Grant, func(), error) {
		grants.Add(1)
		return hub.Grant{Method: hub.MethodKey}, nil, nil
	})
	alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	if _, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: (<-codes).code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil || grants.Load() != 1 {
		t.Errorf("got %v and %d grants, want 1", o.err, grants.Load())
	}
}

// A hub that guesses has one guess a code, and four codes: no claim needs to come first.
func TestGuessingHub(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	var guesses atomic.Int32
	var l interface{ URL() hub.URL }
	boxes := make(chan hub.ID, 16)
	liar := openLiar(t, func(_ identity.ID, e hub.Event) []hub.Event {
		if e.Type != hub.TypeCodeOpened {
			return []hub.Event{e}
		}
		// The box is not in the answer: the hub has it from the open.
		box := <-boxes
		var out []hub.Event
		for range 10 {
			d, err := hub.ClaimCode(l.URL().Key, mallory.ID(), "aardvark-aardvark-aardvark", guessAt(mallory, box))
			if err != nil {
				panic(err)
			}
			g, err := hub.New(hub.TypeCodeConfirm, d.Confirm())
			if err != nil {
				panic(err)
			}
			g.From = mallory.ID()
			guesses.Add(1)
			out = append(out, g)
		}
		return append([]hub.Event{e}, out...)
	})
	l = liar
	liar.Saw = func(_ identity.ID, e hub.Event) {
		var o hub.CodeOpen
		if e.Type == hub.TypeCodeOpen && e.Read(&o) == nil {
			boxes <- o.Box
		}
	}
	bob, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	codes, end, _ := offer(t, bob, nil)
	xtest.WantCode(t, "offer", (<-end).err, proto.Denied)
	if len(codes) != 1+hub.MaxNewCodes || guesses.Load() != 40 {
		t.Errorf("got %d codes and %d guesses, want 4 and 40, of which 4 count", len(codes), guesses.Load())
	}
}

// guessAt is a box that the hub claims for itself.
func guessAt(key *identity.Key, box hub.ID) *hub.CodeClaimed {
	l, err := hub.OpenCode(key.ID(), key, hub.KindPipe, box, "aardvark-aardvark-aardvark")
	if err != nil {
		panic(err)
	}
	o := l.Event()
	return &hub.CodeClaimed{Box: box, Peer: key.ID(), Kind: o.Kind, Share: o.Share, AD: o.AD}
}

// A code that the hub lets live for a second is replaced after it, and its end is said.
func TestShortLivedCode(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	short := edit(hub.TypeCodeOpened, func(_ *hub.Event, o *hub.CodeOpened) {
		if o.ExpiresS = 1; opened.Add(1) > 1 {
			o.ExpiresS = 1 << 31
		}
	})
	l := openLiar(t, short)
	bob, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	codes, end, _ := offer(t, bob, nil)
	<-codes
	c := <-codes
	if c.why == nil || !strings.Contains(c.why.Error(), "expired") {
		t.Errorf("got why %v, want that the code has expired", c.why)
	}
	alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	if _, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: c.code}); err != nil {
		t.Fatal(err)
	}
	if o := <-end; o.err != nil {
		t.Error(o.err)
	}
}

// A hub that gives a new code the plate of the one before, as a hub may that was restarted,
// is asked for another one.
func TestSamePlate(t *testing.T) {
	t.Parallel()
	const same = 7
	plates, opened := make(chan uint32, 8), 0
	l := openLiar(t, edit(hub.TypeCodeOpened, func(_ *hub.Event, o *hub.CodeOpened) {
		plates <- o.Plate
		if o.Plate = same; opened == 2 {
			o.Plate = same + 1
		}
		opened++
	}))
	bob, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	codes, _, _ := offer(t, bob, nil)
	first := <-codes
	if first.code.Plate != same {
		t.Fatalf("got the plate %d, want %d", first.code.Plate, same)
	}
	alice, _ := start(t, l.URL(), xtest.NewKey(t), nil)
	_, err := alice.DialCode(t.Context(), agent.CodeAsk{Code: wrongWords(hub.NewCode(<-plates, ""))})
	xtest.WantCode(t, "wrong code", err, proto.Denied)
	second := <-codes
	if second.code.Plate != same+1 || second.why == nil || !strings.Contains(second.why.Error(), "wrong code") {
		t.Errorf("got the plate %d, %v, want %d after a wrong code", second.code.Plate, second.why, same+1)
	}
}
