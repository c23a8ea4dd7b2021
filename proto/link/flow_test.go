package link_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// addFlow makes both ends of a flow beside a link.
func addFlow(t *testing.T, dialer, listener *link.Link) (df, lf *link.Link) {
	t.Helper()
	df, err := dialer.AddFlow(t.Context(), dialer.Via())
	if err != nil {
		t.Fatal(err)
	}
	if !listener.Striped() || !dialer.Striped() {
		t.Error("a transfer with two flows: got Striped false, want true")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if lf, err = listener.AcceptFlow(ctx); err != nil {
		t.Fatal(err)
	}
	return df, lf
}

// A flow belongs to the transfer of its link. It takes no place at the listener, and
// closing it ends nothing else.
func TestAddFlow(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		dialer, listener := s.dial(t, e, cred, proto.CapSend)
		if dialer.Striped() || listener.Striped() {
			t.Error("one link alone: got Striped true, want false")
		}
		for range 2 {
			df, lf := addFlow(t, dialer, listener)
			if lf.Transfer != listener.Transfer || lf.Peer != listener.Peer || lf.Granted != listener.Granted || df.Via() != dialer.Via() {
				t.Errorf("got a flow %+v, want one of the transfer %s", lf, listener.Transfer)
			}
			echo(t, df, lf)
			df.Close(nil)
			if _, err := lf.Read(make([]byte, 1)); !link.FlowLost(err) {
				t.Errorf("read of a closed flow: got %v, want it lost", err)
			}
			lf.Close(nil)
			echo(t, dialer, listener)
		}
		s.acceptNone(t)
		dialer.Close(nil)
		listener.Close(nil)
		if _, err := dialer.AddFlow(t.Context(), dialer.Via()); proto.CodeOf(err) == proto.OK {
			t.Error("a flow of a transfer that has ended: got one, want none")
		}
	})
}

// The number of flows is limited, whether or not the listener accepts them.
func TestMaxFlows(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		dialer, listener := s.dial(t, e, cred, proto.CapSend)
		defer listener.Close(nil)
		defer dialer.Close(nil)
		var flows []*link.Link
		for range proto.MaxFlows - 1 {
			f, err := dialer.AddFlow(t.Context(), dialer.Via())
			if err != nil {
				t.Fatal(err)
			}
			flows = append(flows, f)
		}
		f, err := dialer.AddFlow(t.Context(), dialer.Via())
		if err == nil {
			_, err = f.Read(make([]byte, 1))
		}
		xtest.WantCode(t, "one too many", err, proto.Busy)
		flows[0].Close(nil)
		synctest.Wait()
		taken, err := listener.AcceptFlow(t.Context()) // the one that has ended
		if err != nil {
			t.Fatal(err)
		}
		_, _ = taken.Read(make([]byte, 1))
		addFlow(t, dialer, listener)
	})
}

// Only the node that began a transfer can add a flow, and only with its secret.
func TestFlowByOthers(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 2)
		cred, _ := s.issue(t, proto.CapSend, 0, 2)
		victim, key := n.Endpoint(t)
		dialer, listener := s.dial(t, victim, cred, proto.CapSend)
		defer listener.Close(nil)
		defer dialer.Close(nil)
		stranger, _ := n.Endpoint(t)
		for _, c := range []struct {
			name string
			from *link.Endpoint
			id   []byte
		}{
			{"another node", stranger, dialer.Transfer[:]},
			{"the node without the secret", n.EndpointFor(t, key), dialer.Transfer[:]},
			{"no such transfer", victim, make([]byte, len(wire.TransferID{}))},
		} {
			forged := token.Credential{Method: wire.MethodFlow, Public: c.id, Secret: cred.Secret}
			_, err := c.from.Dial(t.Context(), s.target(forged, proto.CapSend))
			xtest.WantCode(t, c.name, err, proto.Denied)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := listener.AcceptFlow(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got a flow (%v), want none", err)
		}
		if listener.Striped() {
			t.Error("got Striped true, want false")
		}
	})
}

// A flow over TCP beside a link over QUIC goes to any address of the peer that is known, not
// only to that of the link.
func TestFlowToAnotherAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, Both: true, Routed: true}
		key, err := identity.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		sockets, other := n.Sockets(t), n.Sockets(t)
		_ = other.UDP.Close()
		_ = sockets.TCP.Close()
		sockets.TCP = other.TCP // TCP is forwarded from another host
		e := n.EndpointOn(t, key, sockets)
		listening, err := e.Listen(link.ListenOptions{Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer listening.Close()
		from, _ := n.Endpoint(t)
		m := &linktest.Meeting{Relay: n.Relay(t)}
		m.Candidates = []candidate.Candidate{candidate.At(candidate.PortMapped, candidate.TCP, netip.MustParseAddrPort(other.TCP.Addr().String()), 0)}
		dl, err := from.Dial(t.Context(), link.Target{
			ID: key.ID(), Addrs: []string{e.Addr().String()}, Meeting: m, Credential: token.KeyCredential(), Want: proto.AllCaps, Need: proto.AllCaps,
		})
		if err != nil || dl.Via() != proto.ViaQUIC {
			t.Fatalf("got a link over %s and %v, want one over QUIC", dl.Via(), err)
		}
		defer dl.Close(nil)
		ll, err := listening.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer ll.Close(nil)
		df, err := dl.AddFlow(t.Context(), proto.ViaTCP)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := df.Addr().String(), other.TCP.Addr().String(); got != want {
			t.Errorf("got a flow to %s, want one to %s", got, want)
		}
		if got := df.Path().String(); got != "mapped tcp4" {
			t.Errorf("got a flow over %s, want mapped tcp4", got)
		}
		lf, err := ll.AcceptFlow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		echo(t, df, lf)
		df.Close(nil)
		lf.Close(nil)
	})
}
