package path_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/transport"
	"mesh/proto/xtest"
)

// peer is a listener that accepts every connection, at the address addr.
type peer struct {
	id   identity.ID
	addr string
}

func newPeer(t *testing.T, n *linktest.Net) peer {
	t.Helper()
	key := xtest.NewKey(t)
	e := open(t, key, n.Sockets(t))
	serve(t, e)
	return peer{key.ID(), e.Addr().String()}
}

func open(t *testing.T, key *identity.Key, s transport.Sockets) *transport.Endpoint {
	t.Helper()
	e, err := transport.Open(key, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// dial dials, and returns the transport of the connection and how long that took.
func dial(t *testing.T, e *transport.Endpoint, target path.Target) (via string, took time.Duration, err error) {
	t.Helper()
	begun := time.Now()
	c, err := path.Dial(t.Context(), e, target)
	if err != nil {
		return "", time.Since(begun), err
	}
	defer c.Close(proto.OK.Wire(), "", net.ErrClosed)
	return c.Via(), time.Since(begun), nil
}

// Names are looked up together, and the first address that is known is dialled
// without the others.
func TestDialWhileLookingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, Both: true}
		p := newPeer(t, n)
		at := netip.MustParseAddrPort(p.addr)
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("host%d.example:%d", i, at.Port()))
		}
		var mu sync.Mutex
		asked, most := 0, 0
		target := path.Target{ID: p.id, Addrs: names, Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			mu.Lock()
			asked++
			most = max(most, asked)
			mu.Unlock()
			defer func() {
				mu.Lock()
				asked--
				mu.Unlock()
			}()
			wait := time.Hour
			if host == "host3.example" {
				wait = 100 * time.Millisecond
			}
			if host == "host4.example" {
				return nil, &net.DNSError{Err: "no such host", Name: host}
			}
			select {
			case <-time.After(wait):
				return []netip.Addr{at.Addr()}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		// The order of lookups is not fixed, and 8 slow ones take all slots: so ask for
		// few enough names that host3 has a slot.
		target.Addrs = names[:8]
		via, took, err := dial(t, open(t, xtest.NewKey(t), n.Sockets(t)), target)
		if err != nil || via != proto.ViaTCP || took > 150*time.Millisecond {
			t.Errorf("got %s after %s (%v), want tcp soon after the first lookup", via, took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		target.Addrs = slices.DeleteFunc(names, func(s string) bool { return s[:6] == "host3." })
		if _, err := path.Dial(ctx, open(t, xtest.NewKey(t), n.Sockets(t)), target); err == nil {
			t.Error("got a connection, want an error")
		}
		if most > 8 || most < 7 {
			t.Errorf("%d names were looked up at the same time, want 8", most)
		}
	})
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	noHost := func(_ context.Context, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host}
	}
	for _, c := range []struct {
		addr string
		want proto.Code
		text string
	}{
		{"192.0.2.1", proto.Usage, "address 192.0.2.1: missing port in address"},
		{"192.0.2.1:no-such-port", proto.Usage, "lookup udp/no-such-port: unknown port"},
		{"peer.example:4600", proto.Unreachable, "look up peer.example: no such host"},
		{"", proto.Unreachable, "no address is known for the peer"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Both: true}
			target := path.Target{Lookup: noHost}
			if c.addr != "" {
				target.Addrs = []string{c.addr}
			}
			_, _, err := dial(t, open(t, xtest.NewKey(t), n.Sockets(t)), target)
			xtest.WantCode(t, c.addr, err, c.want)
			if err != nil && err.Error() != c.text {
				t.Errorf("%q: got %q, want %q", c.addr, err, c.text)
			}
		})
	}
}

// A candidate that arrives during the dial is dialled, over its own protocol alone.
func TestDialCandidates(t *testing.T) {
	t.Parallel()
	for via, protocol := range map[string]candidate.Proto{proto.ViaQUIC: candidate.UDP, proto.ViaTCP: candidate.TCP} {
		synctest.Test(t, func(t *testing.T) {
			n := &linktest.Net{Latency: time.Millisecond, Both: true}
			p := newPeer(t, n)
			arriving := make(chan candidate.Candidate)
			go func() {
				defer close(arriving)
				<-time.After(3 * time.Second)
				arriving <- candidate.Candidate{Type: candidate.Relay, Proto: candidate.TCP, Addr: "hub.example:443"}
				arriving <- candidate.At(candidate.Host, protocol, netip.MustParseAddrPort(p.addr), 0)
			}()
			target := path.Target{ID: p.id, Addrs: []string{"192.0.2.250:4600"}, Candidates: arriving}
			got, took, err := dial(t, open(t, xtest.NewKey(t), n.Sockets(t)), target)
			if err != nil || got != via {
				t.Fatalf("got %q (%v), want %s", got, err, via)
			}
			if took < 3*time.Second || took > 3020*time.Millisecond {
				t.Errorf("took %s, want a little more than the 3s until the candidate arrived", took)
			}
		})
	}
}

// Candidates that never end do not keep a dial beyond its context.
func TestDialCandidatesEndless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: time.Millisecond, Both: true}
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		target := path.Target{Candidates: make(chan candidate.Candidate)}
		if _, err := path.Dial(ctx, open(t, xtest.NewKey(t), n.Sockets(t)), target); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

// At most 16 addresses are dialled, however many there are.
func TestDialMaxAddrs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Both: true}
		s := n.Sockets(t)
		var mu sync.Mutex
		dialled := map[string]int{}
		s.DialTCP = func(ctx context.Context, _, addr string) (net.Conn, error) {
			mu.Lock()
			dialled[addr]++
			mu.Unlock()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var addrs []string
		for i := range 40 {
			addrs = append(addrs, fmt.Sprintf("192.0.2.%d:4600", 100+i%20))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := path.Dial(ctx, open(t, xtest.NewKey(t), s), path.Target{Addrs: addrs})
		if err == nil {
			t.Fatal("got a connection, want an error")
		}
		if len(dialled) != path.MaxAddrs {
			t.Errorf("%d addresses were dialled, want %d", len(dialled), path.MaxAddrs)
		}
		for addr, n := range dialled {
			if n != 1 {
				t.Errorf("%s was dialled %d times, want once", addr, n)
			}
		}
	})
}

// A host near by that is not the peer does not hold up the peer far away.
func TestDialStrangerNearby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: 50 * time.Millisecond, Both: true, SlowStreams: true}
		p := newPeer(t, n)
		s := n.Sockets(t)
		dialTCP := s.DialTCP
		const nearby = "192.0.2.250:4600"
		s.DialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != nearby {
				return dialTCP(ctx, network, addr)
			}
			local, remote := net.Pipe()
			go func() {
				_, _ = remote.Read(make([]byte, 1))
				remote.Close()
			}()
			return local, nil
		}
		via, took, err := dial(t, open(t, xtest.NewKey(t), s), path.Target{ID: p.id, Addrs: []string{nearby, p.addr}})
		if err != nil || via != proto.ViaQUIC || took > 120*time.Millisecond {
			t.Errorf("got %q after %s (%v), want quic after a round trip of 100ms and the head start of TCP", via, took, err)
		}
	})
}

// A path within this machine is near, even if the machine is too busy to connect
// quickly.
func TestDialBusyLoopback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var packets atomic.Int32
		n := &linktest.Net{Latency: time.Millisecond, Both: true, Pass: func(linktest.Packet) bool {
			packets.Add(1)
			return true
		}}
		p := newPeer(t, n)
		s := n.Sockets(t)
		dialTCP := s.DialTCP
		s.DialTCP = func(ctx context.Context, network, _ string) (net.Conn, error) {
			<-time.After(40 * time.Millisecond)
			return dialTCP(ctx, network, p.addr)
		}
		via, _, err := dial(t, open(t, xtest.NewKey(t), s), path.Target{ID: p.id, Addrs: []string{"127.0.0.1:4600"}})
		if err != nil || via != proto.ViaTCP || packets.Load() != 0 {
			t.Errorf("got %q (%v) and %d UDP packets, want tcp and none", via, err, packets.Load())
		}
	})
}

// What is not allowed is not dialled, whether it is an address, the address of a name, or a
// candidate; and the error names it.
func TestDialVia(t *testing.T) {
	t.Parallel()
	const far, named, near = "192.0.2.250:4600", "198.51.100.9:4600", "10.1.2.3:4600"
	all := []string{far, named, near}
	for _, c := range []struct {
		via      string
		tcp, udp []string
		text     string
	}{
		{"auto", all, []string{far, named}, ""}, // the candidate is one for TCP
		{"tcp", all, nil, "nobody"},
		{"quic", nil, []string{far, named}, ""},
		{"lan", []string{near}, nil, "nobody"},
		{"direct", all, []string{far, named}, ""},
		{"tcp,direct", all, nil, "nobody"},
		{"quic,lan", nil, nil, "no path to the peer is quic,lan; not tried: "},
		{"relay", nil, nil, "no path to the peer is relay; not tried: "},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			tcp, udp := map[string]bool{}, map[string]bool{}
			note := func(in map[string]bool, addr string) {
				mu.Lock()
				defer mu.Unlock()
				in[addr] = true
			}
			n := &linktest.Net{Both: true, Routed: true, Pass: func(p linktest.Packet) bool {
				note(udp, p.To.String())
				return false
			}}
			s := n.Sockets(t)
			s.DialTCP = func(_ context.Context, _, addr string) (net.Conn, error) {
				note(tcp, addr)
				return nil, errors.New("nobody")
			}
			arriving := make(chan candidate.Candidate, 1)
			arriving <- candidate.At(candidate.Host, candidate.TCP, netip.MustParseAddrPort(near), 0)
			close(arriving)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := path.Dial(ctx, open(t, xtest.NewKey(t), s), path.Target{
				Addrs: []string{far, "bob.example:4600"}, Candidates: arriving, Via: parseVia(t, c.via),
				Lookup: func(context.Context, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddrPort(named).Addr()}, nil
				},
			})
			if err == nil || !errors.Is(err, path.ErrNotReached) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("--via %s: got %v, want an error with %q", c.via, err, c.text)
			}
			mu.Lock() // packets may still be on their way
			defer mu.Unlock()
			for what, one := range map[string]struct {
				got  map[string]bool
				want []string
			}{"TCP": {tcp, c.tcp}, "UDP": {udp, c.udp}} {
				if got := slices.Sorted(maps.Keys(one.got)); !slices.Equal(got, slices.Sorted(slices.Values(one.want))) {
					t.Errorf("--via %s: dialled %v over %s, want %v", c.via, got, what, one.want)
				}
			}
		})
	}
}
