package link_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

func TestDialAndGrants(t *testing.T) {
	t.Parallel()
	const both = proto.CapSend | proto.CapRecv
	for _, c := range []struct {
		name                            string
		offer, allowed, want, need, got proto.Caps
		code                            proto.Code
	}{
		{name: "all of it", offer: both, allowed: both, want: both, need: both, got: both},
		{name: "less is allowed", offer: both, allowed: proto.CapSend, want: both, need: proto.CapSend, got: proto.CapSend},
		{name: "less is offered", offer: proto.CapRecv, allowed: proto.AllCaps, want: both, got: proto.CapRecv},
		{name: "less is wanted", offer: both, allowed: both, want: proto.CapRecv, need: proto.CapRecv, got: proto.CapRecv},
		{name: "need not granted", offer: both, allowed: proto.CapSend, want: both, need: both, code: proto.Capability},
		{name: "nothing granted", offer: both, allowed: proto.CapSend, want: proto.CapRecv, need: proto.CapRecv, code: proto.Capability},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, c.offer, 1)
				e, key := n.Endpoint(t)
				cred, tok := s.issue(t, c.allowed, 0, 1)
				target := s.target(cred, c.want)
				target.Need = c.need
				dl, err := e.Dial(t.Context(), target)
				xtest.WantCode(t, "dial", err, c.code)
				if err != nil {
					return
				}
				ll := s.accept(t)
				if dl.Granted != c.got || ll.Granted != c.got {
					t.Errorf("granted %s and %s, want %s", dl.Granted, ll.Granted, c.got)
				}
				if dl.Peer != s.key.ID() || ll.Peer != key.ID() {
					t.Errorf("peers are %s and %s, want %s and %s", dl.Peer, ll.Peer, s.key.ID(), key.ID())
				}
				if dl.Transfer != ll.Transfer || dl.Transfer == (wire.TransferID{}) {
					t.Errorf("transfers are %s and %s, want the same one", dl.Transfer, ll.Transfer)
				}
				if dl.Minor != 5 || ll.Minor != 5 {
					t.Errorf("minor versions are %d and %d, want 4", dl.Minor, ll.Minor)
				}
				if !dl.Dialed || ll.Dialed || dl.Token != nil || ll.Token == nil || *ll.Token != tok.ID {
					t.Errorf("got Dialed %v and %v, Token %v and %v, want true, false, none and %s", dl.Dialed, ll.Dialed, dl.Token, ll.Token, tok.ID)
				}
				if dl.PeerWindow != proto.WindowBytes || ll.PeerWindow != proto.WindowBytes {
					t.Errorf("windows are %d and %d, want %d", dl.PeerWindow, ll.PeerWindow, proto.WindowBytes)
				}
				echo(t, dl, ll)
			})
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 9)
		e, key := n.Endpoint(t)
		_, err := e.Dial(t.Context(), s.target(token.KeyCredential(), proto.CapSend))
		xtest.WantCode(t, "dial with an unknown key", err, proto.Denied)
		if err := (identity.Book{Dir: s.dir}).Allow(key.ID(), proto.CapSend); err != nil {
			t.Fatal(err)
		}
		dl, ll := s.dial(t, e, token.KeyCredential(), proto.CapSend)
		echo(t, dl, ll)
		if ll.Token != nil {
			t.Errorf("got token %s of a link by key, want none", ll.Token)
		}
		capability, err := token.NewCapability(s.key, proto.CapRecv, 0, 1, key.ID(), []string{s.addr()})
		if err != nil {
			t.Fatal(err)
		}
		other, _ := n.Endpoint(t)
		_, err = other.Dial(t.Context(), s.target(capability.Credential(), proto.CapRecv))
		xtest.WantCode(t, "dial with another node's capability", err, proto.Denied)
		dl, ll = s.dial(t, e, capability.Credential(), proto.CapRecv)
		echo(t, dl, ll)
	})
}

// Of several addresses the one with the right key wins, whatever the others answer.
func TestSeveralAddrs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s, other := newSite(t, n, proto.AllCaps, 1), newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{other.addr(), silentAddr(t, n), s.addr()}
		begun := time.Now()
		dl, err := e.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %s, want no waiting for the address that does not answer", took)
		}
		echo(t, dl, s.accept(t))
		if got := other.asked.Load(); got != 0 {
			t.Errorf("the wrong listener got %d P2P_HELLOs, want none", got)
		}

		target.Addrs = []string{silentAddr(t, n), other.addr()}
		_, err = e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial without the right address", err, proto.Identity)
	})
}

// silentAddr returns the address of a host that answers no packet.
func silentAddr(t *testing.T, n *linktest.Net) string {
	t.Helper()
	conn := n.Conn(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			if _, _, err := conn.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silent host", "cut", "no host"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency}
				s := newSite(t, n, proto.AllCaps, 1)
				e, _ := n.Endpoint(t)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				target := s.target(cred, proto.CapSend)
				switch name {
				case "silent host":
					target.Addrs = []string{silentAddr(t, n)}
				case "cut":
					n.Cut()
				case "no host":
					target.Addrs = []string{"192.0.2.250:4600"}
				}
				begun := time.Now()
				_, err := e.Dial(t.Context(), target)
				xtest.WantCode(t, "dial", err, proto.Unreachable)
				if took := time.Since(begun); took > proto.DialTimeout {
					t.Errorf("took %s, want at most %s", took, proto.DialTimeout)
				}
			})
		})
	}
}

func TestDialCanceled(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} { // by the network, by the listener
		linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
			s := newSite(t, n, proto.AllCaps, 1)
			e, _ := n.Endpoint(t)
			cred, _ := s.issue(t, proto.CapSend, 0, 1)
			if held {
				s.hold = make(chan struct{})
				defer close(s.hold)
			} else {
				n.Cut()
			}
			why := errors.New("a person has had enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancel(why) })
			begun := time.Now()
			_, err := e.Dial(ctx, s.target(cred, proto.CapSend))
			if !errors.Is(err, why) {
				t.Errorf("held by the listener %v: got %v, want %v", held, err, why)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("held by the listener %v: took %s, want 2s", held, took)
			}
		})
	}
}

// A lookup that takes too long is not reported as a name that does not exist.
func TestDialLookUpEnds(t *testing.T) {
	t.Parallel()
	n := &linktest.Net{TCP: true}
	e, _ := n.Endpoint(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(proto.Errorf(proto.Interrupted, "ended by interrupt"))
	_, err := e.Dial(ctx, link.Target{ID: xtest.NewKey(t).ID(), Addrs: []string{"peer.invalid:4600"}})
	xtest.WantCode(t, "dial", err, proto.Interrupted)
}
