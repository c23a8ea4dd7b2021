package nat_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/linktest"
	"mesh/proto/nat"
)

// where is a host and what is in front of it.
type where struct {
	name string
	conn func(*testing.T, *linktest.Net) net.PacketConn
	kind nat.Kind
}

func behind(name string, kind nat.Kind, r linktest.Translation) where {
	return where{name, func(t *testing.T, n *linktest.Net) net.PacketConn { return n.NAT(r).Conn(t) }, kind}
}

var (
	open           = where{"open", func(t *testing.T, n *linktest.Net) net.PacketConn { return n.Conn(t) }, nat.Open}
	fullCone       = behind("fullcone", nat.EIM, linktest.Translation{Filter: linktest.FromAnywhere})
	restricted     = behind("restricted", nat.EIM, linktest.Translation{Filter: linktest.FromHosts})
	portRestricted = behind("portrestricted", nat.EIM, linktest.Translation{Filter: linktest.FromPorts})
	symmetric      = behind("symmetric", nat.EDM, linktest.Translation{PerDestination: true, Filter: linktest.FromPorts})
)

// What theory says of each two routers (RFC 5128, section 3.3), seen by both ends.
func TestPunch(t *testing.T) {
	t.Parallel()
	all := []where{open, fullCone, restricted, portRestricted, symmetric}
	for _, a := range all {
		for _, b := range all {
			never := a.kind == nat.EDM && (b.kind == nat.EDM || b.name == portRestricted.name) || b.kind == nat.EDM && a.name == portRestricted.name
			t.Run(a.name+" "+b.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { punch(t, a, b, !never) })
			})
		}
	}
}

func punch(t *testing.T, a, b where, want bool) {
	const latency = 20 * time.Millisecond
	n := &linktest.Net{Latency: latency}
	serve(t, n)
	dialing, listening := newNode(t, a.conn(t, n)), newNode(t, b.conn(t, n))
	s1, s2 := sessions()
	dialer, listener := dialing.Check(s1), listening.Check(s2)
	kind1, list1 := dialing.candidates(t)
	kind2, list2 := listening.candidates(t)
	if kind1 != a.kind || kind2 != b.kind {
		t.Errorf("got kinds %s and %s, want %s and %s", kind1, kind2, a.kind, b.kind)
	}
	begun := time.Now()
	dialer.Remote(0, list2)
	listener.Remote(0, list1)
	for name, c := range map[string]*nat.Checker{"dialer": dialer, "listener": listener} {
		p, ok := within(c, 10*time.Second)
		if ok != want {
			t.Errorf("%s: got a pair %v (%+v), want %v", name, ok, p, want)
		}
		if took := time.Since(begun); ok && took > 200*time.Millisecond {
			t.Errorf("%s: got a pair after %v, want at most 200 ms", name, took)
		}
		if ok && p.RTT != 2*latency {
			t.Errorf("%s: got a round trip of %v, want %v", name, p.RTT, 2*latency)
		}
	}
}

// Behind a router with another mapping for each destination, nobody can tell the address
// from which the checks come: the other end learns it from them.
func TestPunchLearnsAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: 20 * time.Millisecond}
		serve(t, n)
		dialing, listening := newNode(t, symmetric.conn(t, n)), newNode(t, restricted.conn(t, n))
		s1, s2 := sessions()
		dialer, listener := dialing.Check(s1), listening.Check(s2)
		_, list1 := dialing.candidates(t)
		_, list2 := listening.candidates(t)
		dialer.Remote(0, list2)
		listener.Remote(0, list1)
		at1, ok1 := within(dialer, time.Second)
		at2, ok2 := within(listener, time.Second)
		if !ok1 || at1.Type != candidate.ServerReflexive || !ok2 || at2.Type != candidate.PeerReflexive {
			t.Fatalf("got %+v and %+v, want a srflx and a prflx pair", at1, at2)
		}
		if got := listening.TypeOf(at2.Addr); got != candidate.PeerReflexive {
			t.Errorf("type of %s: got %q, want prflx", at2.Addr, got)
		}
		if got := listening.TypeOf(servers[0]); got != "" {
			t.Errorf("type of %s, which is not proven: got %q, want none", servers[0], got)
		}
		for _, c := range list1 {
			if c.Addr == at2.Addr.String() {
				t.Errorf("%s was told, want it learned", at2.Addr)
			}
		}
	})
}

// pairing is two nodes behind routers that let in only what was asked for.
type pairing struct {
	dialing, listening *node
	dialer, listener   *nat.Checker
	routers            []*linktest.NAT
}

func newPairing(t *testing.T, n *linktest.Net) *pairing {
	t.Helper()
	serve(t, n)
	p := &pairing{}
	for range 2 {
		p.routers = append(p.routers, n.NAT(linktest.Translation{Filter: linktest.FromPorts}))
	}
	p.dialing, p.listening = newNode(t, p.routers[0].Conn(t)), newNode(t, p.routers[1].Conn(t))
	s1, s2 := sessions()
	p.dialer, p.listener = p.dialing.Check(s1), p.listening.Check(s2)
	return p
}

// proven waits for a pair at both ends.
func (p *pairing) proven(t *testing.T, d time.Duration) {
	t.Helper()
	begun := time.Now()
	for name, c := range map[string]*nat.Checker{"dialer": p.dialer, "listener": p.listener} {
		if _, ok := within(c, d-time.Since(begun)); !ok {
			t.Errorf("%s: got no pair within %v", name, d)
		}
	}
}

// Nobody's clock counts: an end may get its list when the other one has long stopped.
func TestPunchLate(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{300 * time.Millisecond, 3 * time.Second, 30 * time.Second} {
		for _, first := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				p := newPairing(t, &linktest.Net{Latency: 20 * time.Millisecond})
				_, list1 := p.dialing.candidates(t)
				_, list2 := p.listening.candidates(t)
				a, b, listA, listB := p.dialer, p.listener, list2, list1
				if !first {
					a, b, listA, listB = p.listener, p.dialer, list1, list2
				}
				a.Remote(0, listA)
				<-time.After(late)
				b.Remote(0, listB)
				p.proven(t, 200*time.Millisecond)
			})
		}
	}
}

// Half of the packets are lost.
func TestPunchLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: 20 * time.Millisecond}
		var lossy atomic.Bool
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		n.Pass = func(linktest.Packet) bool {
			mu.Lock()
			defer mu.Unlock()
			return !lossy.Load() || random.IntN(2) == 0
		}
		p := newPairing(t, n)
		_, list1 := p.dialing.candidates(t)
		_, list2 := p.listening.candidates(t)
		lossy.Store(true)
		p.dialer.Remote(0, list2)
		p.listener.Remote(0, list1)
		p.proven(t, 3*time.Second)
	})
}

// Routers that restart map other ports. New lists open new holes.
func TestPunchRestartedRouters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPairing(t, &linktest.Net{Latency: 20 * time.Millisecond})
		for gen := range uint32(3) {
			_, list1 := p.dialing.candidates(t)
			_, list2 := p.listening.candidates(t)
			p.dialer.Remote(gen, list2)
			p.listener.Remote(gen, list1)
			p.proven(t, 200*time.Millisecond)
			for _, r := range p.routers {
				r.Forget()
			}
		}
	})
}

// Two hosts behind one router that do not know each other's network.
func TestPunchHairpin(t *testing.T) {
	t.Parallel()
	for _, hairpin := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: 20 * time.Millisecond}
			serve(t, n)
			r := n.NAT(linktest.Translation{Filter: linktest.FromPorts, Hairpin: hairpin})
			dialing, listening := newNode(t, r.Conn(t)), newNode(t, r.Conn(t))
			s1, s2 := sessions()
			dialer, listener := dialing.Check(s1), listening.Check(s2)
			_, list1 := dialing.candidates(t)
			_, list2 := listening.candidates(t)
			dialer.Remote(0, list2[1:])
			listener.Remote(0, list1[1:])
			if p, ok := within(dialer, 10*time.Second); ok != hairpin {
				t.Errorf("hairpin %v: got a pair %v (%+v)", hairpin, ok, p)
			}
		})
	}
}
