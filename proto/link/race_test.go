package link_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// network is the path between a dialer and a listener that both have both
// transports.
type network struct {
	net     linktest.Net
	packets atomic.Int32  // were sent
	noUDP   atomic.Bool   // packets are lost
	noTCP   atomic.Bool   // dials hang
	refuses sync.Map      // addresses where TCP is refused, by a firewall say
	delay   time.Duration // of TCP's dials
}

// overPath runs a test in virtual time, with both transports.
func overPath(t *testing.T, f func(t *testing.T, p *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &network{}
		p.net.Latency, p.net.Both = latency, true
		p.net.Pass = func(linktest.Packet) bool {
			p.packets.Add(1)
			return !p.noUDP.Load()
		}
		f(t, p)
	})
}

// dialer returns an endpoint of a new host.
func (p *network) dialer(t *testing.T) *link.Endpoint {
	t.Helper()
	return p.dialerOver(t, true, true)
}

// dialerOver returns an endpoint of a new host with the given transports.
func (p *network) dialerOver(t *testing.T, quic, tcp bool) *link.Endpoint {
	t.Helper()
	s := p.net.Sockets(t)
	dial := s.DialTCP
	s.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case <-time.After(p.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if _, refused := p.refuses.Load(addr); refused {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		if p.noTCP.Load() {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return dial(ctx, network, addr)
	}
	if !tcp {
		s.DialTCP = nil
	}
	if !quic {
		s.UDP = nil
	}
	return p.net.EndpointOn(t, xtest.NewKey(t), s)
}

// wantVia checks the transport of a link at both ends, and that it carries bytes.
func wantVia(t *testing.T, dl, ll *link.Link, want string) {
	t.Helper()
	if dl.Via() != want || ll.Via() != want {
		t.Errorf("link is via %s and %s, want %s", dl.Via(), ll.Via(), want)
	}
	echo(t, dl, ll)
}

// On a near path TCP wins if it is there, and QUIC soon if it is not. The connections
// that lose take no place at the listener, which has one.
func TestRace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		delay        time.Duration
		refused      bool
		noTCP, noUDP bool
		want         string
		within       time.Duration
		quiet        bool // no packet is sent
	}{
		{name: "both", want: proto.ViaTCP, within: 40 * time.Millisecond, quiet: true},
		{name: "TCP a little later", delay: 70 * time.Millisecond, want: proto.ViaTCP, within: 200 * time.Millisecond},
		{name: "TCP much later", delay: 400 * time.Millisecond, want: proto.ViaQUIC, within: 300 * time.Millisecond},
		{name: "TCP refused", refused: true, want: proto.ViaQUIC, within: 50 * time.Millisecond},
		{name: "TCP refused late", refused: true, delay: 90 * time.Millisecond, want: proto.ViaQUIC, within: 200 * time.Millisecond},
		{name: "TCP blocked", noTCP: true, want: proto.ViaQUIC, within: 300 * time.Millisecond},
		{name: "UDP blocked", noUDP: true, want: proto.ViaTCP, within: 40 * time.Millisecond, quiet: true},
		{name: "UDP blocked, TCP slow", noUDP: true, delay: 2 * time.Second, want: proto.ViaTCP, within: 2100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overPath(t, func(t *testing.T, p *network) {
				s := newSite(t, &p.net, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 0)
				e := p.dialer(t)
				p.delay = c.delay
				p.noTCP.Store(c.noTCP)
				p.noUDP.Store(c.noUDP)
				if c.refused {
					p.refuses.Store(s.addr(), true)
				}
				begun := time.Now()
				dl, ll := s.dial(t, e, cred, proto.CapSend)
				if took := time.Since(begun); took > c.within {
					t.Errorf("took %s, want at most %s", took, c.within)
				}
				wantVia(t, dl, ll, c.want)
				if got := p.packets.Load(); c.quiet && got != 0 {
					t.Errorf("%d UDP packets were sent, want none", got)
				}
				<-time.After(proto.HelloTimeout + time.Second) // for what has lost
				wantVia(t, dl, ll, c.want)
				if got := s.asked.Load(); got != 1 {
					t.Errorf("listener judged %d P2P_HELLOs, want 1", got)
				}
				dl.Close(nil)
				ll.Close(nil)
				s.dial(t, e, cred, proto.CapSend)
			})
		})
	}
}

// A terminal prefers QUIC, and uses TCP soon if QUIC is not there.
func TestRaceForTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		noTCP, noUDP bool
		want         string
		within       time.Duration
	}{
		{"both", false, false, proto.ViaQUIC, 40 * time.Millisecond},
		{"TCP blocked", true, false, proto.ViaQUIC, 40 * time.Millisecond},
		{"UDP blocked", false, true, proto.ViaTCP, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overPath(t, func(t *testing.T, p *network) {
				s := newSite(t, &p.net, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapTTYView, 0, 0)
				e := p.dialer(t)
				p.noTCP.Store(c.noTCP)
				p.noUDP.Store(c.noUDP)
				begun := time.Now()
				dl, err := e.Dial(t.Context(), link.Target{
					ID: s.key.ID(), Addrs: []string{s.addr()}, Credential: cred, Want: proto.CapTTYView, Kind: wire.KindTTY, Prefer: path.Interactive,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer dl.Close(nil)
				if took := time.Since(begun); took > c.within {
					t.Errorf("took %s, want at most %s", took, c.within)
				}
				ll, err := s.listener.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer ll.Close(nil)
				wantVia(t, dl, ll, c.want)
				if ll.Kind != wire.KindTTY || ll.Granted != proto.CapTTYView {
					t.Errorf("got kind %q and %s", ll.Kind, ll.Granted)
				}
			})
		})
	}
}

// If both transports fail, the error is that of the one that says more.
func TestRaceLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		refused, other bool
		want           proto.Code
		within         time.Duration
	}{
		{"both blocked", false, false, proto.Unreachable, proto.DialTimeout},
		{"TCP refused, UDP blocked", true, false, proto.Unreachable, proto.DialTimeout},
		{"another key, UDP blocked", false, true, proto.Identity, proto.DialTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overPath(t, func(t *testing.T, p *network) {
				s := newSite(t, &p.net, proto.AllCaps, 1)
				p.noUDP.Store(true)
				p.noTCP.Store(!c.refused && !c.other)
				if c.refused {
					p.refuses.Store(s.addr(), true)
				}
				target := s.target(token.KeyCredential(), proto.CapSend)
				if c.other {
					target.ID = xtest.NewKey(t).ID()
				}
				begun := time.Now()
				_, err := p.dialer(t).Dial(t.Context(), target)
				xtest.WantCode(t, "dial", err, c.want)
				if took := time.Since(begun); took > c.within {
					t.Errorf("took %s, want at most %s", took, c.within)
				}
			})
		})
	}
}

// resume waits until both ends of a link have broken, and returns the next link.
func resume(t *testing.T, dl, ll *link.Link) (dn, ln *link.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watched, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { dl.Watch(watched, nil) })
	for l, next := range map[*link.Link]**link.Link{dl: &dn, ll: &ln} {
		wg.Go(func() {
			if _, err := l.Read(make([]byte, 1)); !errors.Is(err, link.ErrBroken) {
				t.Errorf("dialer %v: read: got %v, want a broken link", l.Dialed, err)
			}
			var err error
			if *next, err = l.Resume(ctx); err != nil {
				t.Errorf("dialer %v: resume: %v", l.Dialed, err)
				cancel()
			}
			if l == dl {
				stop()
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return dn, ln
}

// A transfer goes on over the other transport when its own is blocked, and back.
func TestResumeOverOther(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		dl, ll := s.dial(t, p.dialer(t), cred, proto.CapSend)
		wantVia(t, dl, ll, proto.ViaTCP)
		p.net.CutTCP()
		p.noTCP.Store(true)
		begun := time.Now()
		dl, ll = resume(t, dl, ll)
		if took := time.Since(begun); took > proto.QuietTimeout+2*time.Second {
			t.Errorf("resumed after %s, want %s and a dial", took, proto.QuietTimeout)
		}
		wantVia(t, dl, ll, proto.ViaQUIC)

		p.noUDP.Store(true)
		p.noTCP.Store(false)
		p.net.Heal()
		dl, ll = resume(t, dl, ll)
		wantVia(t, dl, ll, proto.ViaTCP)
		dl.Close(nil)
		ll.Close(nil)
		if got := s.asked.Load(); got != 1 {
			t.Errorf("listener was asked for %d tokens, want 1", got)
		}
	})
}

// A firewall that refuses TCP does not end a transfer over QUIC, however long the path
// is cut.
func TestResumeWhereTCPIsRefused(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		p.refuses.Store(s.addr(), true)
		dl, ll := s.dial(t, p.dialer(t), cred, proto.CapSend)
		wantVia(t, dl, ll, proto.ViaQUIC)
		p.noUDP.Store(true)
		time.AfterFunc(30*time.Second, func() { p.noUDP.Store(false) })
		dl, ll = resume(t, dl, ll)
		wantVia(t, dl, ll, proto.ViaQUIC)
		dl.Close(nil)
		ll.Close(nil)
	})
}

// A firewall that begins to refuse TCP in the middle of a transfer over TCP does not
// end it either, as long as QUIC is there.
func TestResumeWhereTCPIsRefusedSince(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		dl, ll := s.dial(t, p.dialer(t), cred, proto.CapSend)
		wantVia(t, dl, ll, proto.ViaTCP)
		p.refuses.Store(s.addr(), true)
		p.net.CutTCP()
		dl, ll = resume(t, dl, ll)
		wantVia(t, dl, ll, proto.ViaQUIC)
		dl.Close(nil)
		ll.Close(nil)
	})
}

// Nor does a refusal by a host at another of the peer's addresses.
func TestResumeWhereAnotherAddressRefuses(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		const other = "192.0.2.250:4600"
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		p.refuses.Store(other, true)
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{other, s.addr()}
		dl, err := p.dialer(t).Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		ll := s.accept(t)
		wantVia(t, dl, ll, proto.ViaTCP)
		p.net.Cut()
		p.noTCP.Store(true)
		time.AfterFunc(30*time.Second, func() {
			p.noTCP.Store(false)
			p.net.Heal()
		})
		dl, ll = resume(t, dl, ll)
		echo(t, dl, ll)
		dl.Close(nil)
		ll.Close(nil)
	})
}

// The dialer knows that the listener is gone when its address refuses the transport of
// the broken link for five seconds.
func TestResumeWhereNobodyListens(t *testing.T) {
	t.Parallel()
	overPath(t, func(t *testing.T, p *network) {
		s := newSite(t, &p.net, proto.AllCaps, 1)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		dl, ll := s.dial(t, p.dialer(t), cred, proto.CapSend)
		wantVia(t, dl, ll, proto.ViaTCP)
		p.refuses.Store(s.addr(), true)
		p.noUDP.Store(true)
		dl.Break(errors.New("enough"))
		begun := time.Now()
		_, err := dl.Resume(t.Context())
		xtest.WantCode(t, "resume", err, proto.Truncated)
		if took := time.Since(begun); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("took %s, want 5s and what one more attempt takes", took)
		}
		dl.Close(err)
		ll.Close(err)
	})
}
