package nat_test

import (
	"net"
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
