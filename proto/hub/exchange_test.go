package hub_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

const codeWords = "guitar-croissant-lunchbox"

// exchange is the two ends of a code, and the hub between.
type exchange struct {
	t                     testing.TB
	hub, listener, dialer *identity.Key
	box                   hub.ID
	at                    *hub.CodeListener
}

func newExchange(t testing.TB) *exchange {
	x := &exchange{t: t, hub: xtest.NewKey(t), listener: xtest.NewKey(t), dialer: xtest.NewKey(t), box: hub.NewID()}
	x.at = x.open()
	return x
}

func (x *exchange) open() *hub.CodeListener {
	x.t.Helper()
	l, err := hub.OpenCode(x.hub.ID(), x.listener, hub.KindPipe, x.box, codeWords)
	if err != nil {
		x.t.Fatal(err)
	}
	return l
}

// claimed is what an honest hub answers.
func (x *exchange) claimed() *hub.CodeClaimed {
	o := x.at.Event()
	return &hub.CodeClaimed{Box: o.Box, Peer: x.listener.ID(), Kind: o.Kind, Share: o.Share, AD: o.AD}
}

func (x *exchange) claim(words string) *hub.CodeDialer {
	x.t.Helper()
	d, err := hub.ClaimCode(x.hub.ID(), x.dialer.ID(), words, x.claimed())
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}

func TestCodeExchange(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	d := x.claim(codeWords)
	p, err := x.at.Prove(x.dialer.ID(), d.Confirm())
	if err != nil {
		t.Fatal(err)
	}
	want := hub.Grant{Method: hub.MethodKey, Caps: "send", Via: "tcp"}
	done, lk, err := p.Done(want)
	if err != nil {
		t.Fatal(err)
	}
	got, dk, err := d.Open(done)
	if err != nil || got.Method != want.Method || got.Caps != want.Caps || got.Via != want.Via {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if *lk != *dk || lk.Session != x.box || lk.Dialer == lk.Listener || lk.Dialer == lk.PunchDialer || lk.Dialer == [32]byte{} {
		t.Errorf("got keys %v and %v, want the same four, for the box", lk, dk)
	}
	if d.Peer() != x.listener.ID() {
		t.Errorf("got peer %s, want %s", d.Peer().Short(), x.listener.ID().Short())
	}
	c, err := dk.SealMeeting(hub.RoleDialer, 1, hub.Meeting{NAT: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := lk.OpenMeeting(hub.RoleDialer, c); err != nil || m.NAT != "none" {
		t.Errorf("candidates: got %+v, %v", m, err)
	}
	// The share has had its confirm.
	_, err = x.at.Prove(x.dialer.ID(), d.Confirm())
	xtest.WantCode(t, "the second confirm", err, proto.Denied)
}

// The listener takes no confirm that any of its parts is changed in, and each counts.
func TestWrongConfirm(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	for name, lie := range map[string]func(x *exchange, c *hub.CodeConfirm) identity.ID{
		"words": func(x *exchange, c *hub.CodeConfirm) identity.ID {
			*c = *x.claim("guitar-croissant-octopus").Confirm()
			return x.dialer.ID()
		},
		"tag":   func(x *exchange, c *hub.CodeConfirm) identity.ID { c.Tag = flip(c.Tag); return x.dialer.ID() },
		"share": func(x *exchange, c *hub.CodeConfirm) identity.ID { c.Share = flip(c.Share); return x.dialer.ID() },
		"low order": func(x *exchange, c *hub.CodeConfirm) identity.ID {
			c.Share = make([]byte, hub.ShareBytes)
			return x.dialer.ID()
		},
		"nonce": func(x *exchange, c *hub.CodeConfirm) identity.ID { c.AD[len(c.AD)-1] ^= 1; return x.dialer.ID() },
		"node":  func(x *exchange, c *hub.CodeConfirm) identity.ID { return mallory.ID() },
		"node and data": func(x *exchange, c *hub.CodeConfirm) identity.ID {
			id := mallory.ID()
			copy(c.AD[10:], id[:])
			return id
		},
		"box": func(x *exchange, c *hub.CodeConfirm) identity.ID { c.Box = hub.NewID(); return x.dialer.ID() },
		"own share back": func(x *exchange, c *hub.CodeConfirm) identity.ID {
			c.Share = x.at.Event().Share
			return x.dialer.ID()
		},
		"another share of the listener": func(x *exchange, c *hub.CodeConfirm) identity.ID { x.at = x.open(); return x.dialer.ID() },
		"another hub": func(x *exchange, c *hub.CodeConfirm) identity.ID {
			d, err := hub.ClaimCode(mallory.ID(), x.dialer.ID(), codeWords, x.claimed())
			if err != nil {
				t.Fatal(err)
			}
			*c = *d.Confirm()
			return x.dialer.ID()
		},
	} {
		x := newExchange(t)
		c := x.claim(codeWords).Confirm()
		from := lie(x, c)
		if _, err := x.at.Prove(from, c); !errors.Is(err, hub.ErrWrongCode) || proto.CodeOf(err) != proto.Denied {
			t.Errorf("%s: got %v, want a wrong code", name, err)
		}
		if _, err := x.at.Prove(x.dialer.ID(), x.claim(codeWords).Confirm()); !errors.Is(err, hub.ErrWrongCode) {
			t.Errorf("%s: a second confirm is taken: %v", name, err)
		}
	}
}

// The dialer does not take what the hub has changed, or made itself.
func TestWrongDone(t *testing.T) {
	t.Parallel()
	mallory := xtest.NewKey(t)
	for name, lie := range map[string]func(x *exchange, d *hub.CodeDone){
		"tag":       func(x *exchange, d *hub.CodeDone) { d.Tag = flip(d.Tag) },
		"its own":   func(x *exchange, d *hub.CodeDone) { d.Tag = bytes.Repeat([]byte{0}, hub.TagBytes) },
		"sealed":    func(x *exchange, d *hub.CodeDone) { d.Sealed = flip(d.Sealed) },
		"signature": func(x *exchange, d *hub.CodeDone) { d.Sig = flip(d.Sig) },
		"box":       func(x *exchange, d *hub.CodeDone) { d.Box = hub.NewID() },
	} {
		x := newExchange(t)
		d := x.claim(codeWords)
		p, err := x.at.Prove(x.dialer.ID(), d.Confirm())
		if err != nil {
			t.Fatal(err)
		}
		done, _, err := p.Done(hub.Grant{Method: hub.MethodKey})
		if err != nil {
			t.Fatal(err)
		}
		lie(x, done)
		_, _, err = d.Open(done)
		xtest.WantCode(t, name, err, proto.Identity)
	}
	x := newExchange(t)
	c := x.claimed()
	c.Peer = mallory.ID()
	_, err := hub.ClaimCode(x.hub.ID(), x.dialer.ID(), codeWords, c)
	xtest.WantCode(t, "another node than in the box", err, proto.Identity)
	c = x.claimed()
	c.Share = make([]byte, hub.ShareBytes)
	_, err = hub.ClaimCode(x.hub.ID(), x.dialer.ID(), codeWords, c)
	xtest.WantCode(t, "share of low order", err, proto.Identity)

	// A hub in the middle that knows no words plays the listener with a box of its own.
	c = x.claimed()
	own, err := hub.OpenCode(x.hub.ID(), mallory, hub.KindPipe, x.box, "guitar-croissant-octopus")
	if err != nil {
		t.Fatal(err)
	}
	o := own.Event()
	c.Peer, c.Share, c.AD = mallory.ID(), o.Share, o.AD
	d, err := hub.ClaimCode(x.hub.ID(), x.dialer.ID(), codeWords, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = own.Prove(x.dialer.ID(), d.Confirm()); !errors.Is(err, hub.ErrWrongCode) {
		t.Errorf("the hub guesses wrong: got %v", err)
	}
}

// The tag of a confirm says nothing about the words but whether one guess was right:
// with another share it is another one, so that it can't be tried twice.
func TestConfirmIsFresh(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	a, b := x.claim(codeWords).Confirm(), x.claim(codeWords).Confirm()
	if bytes.Equal(a.Tag, b.Tag) || bytes.Equal(a.Share, b.Share) || bytes.Equal(a.AD, b.AD) {
		t.Errorf("two claims have the same parts: %+v and %+v", a, b)
	}
	if text := strings.ToLower(string(a.Share) + string(a.AD)); strings.Contains(text, "guitar") {
		t.Error("the words are in what is sent")
	}
}
