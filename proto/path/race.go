package path

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/transport"
)

// A dialer that has both carriers prefers TCP: for bulk the kernel's is much
// cheaper than QUIC in user space. QUIC begins headStart later, so that where
// TCP is there at once nothing is done twice, and at once when TCP has failed.
// When QUIC is there first, TCP, which takes a round trip more, gets as long
// again as QUIC took, and graceTime at least. For a terminal it is the other way
// round: what counts there is that the link follows a changed address, and the
// first that is there will do.
const (
	headStart = 50 * time.Millisecond
	graceTime = 100 * time.Millisecond
)

// ErrLeft says that the peer has left.
var ErrLeft = errors.New("the peer has left")

// Target is whom to reach, and where.
type Target struct {
	ID     identity.ID // the pin: no other key is talked to
	Addrs  []string    // HOST:PORT, tried all at once
	Prefer string      // what is tried first
	Was    string      // what carried the transfer that is to go on, at the first of Addrs; "" for none
}

// race is one dial of every address over every carrier.
type race struct {
	was     string
	first   string // what is tried first, of two
	attempt func(via string, addr netip.AddrPort) (transport.Conn, error)
	cancel  func() // ends the attempts that run
	addrs   []netip.AddrPort
	results chan raceResult
	running map[string]int

	over   bool // won: attempts that run do not matter any more
	left   bool // failed is that the peer has left
	won    transport.Conn
	held   transport.Conn // over QUIC, while TCP may still come
	failed error
}

type raceResult struct {
	via  string
	addr netip.AddrPort
	conn transport.Conn
	err  error
}

// Dial dials every address over every carrier and returns the connection to
// prefer among those whose other end has the right key.
func Dial(ctx context.Context, e *transport.Endpoint, t Target) (transport.Conn, error) {
	addrs, err := resolve(ctx, t.Addrs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{
		attempt: func(via string, addr netip.AddrPort) (transport.Conn, error) {
			return e.Connect(ctx, via, addr, t.ID)
		},
		was: t.Was, cancel: cancel, addrs: addrs, results: make(chan raceResult), running: make(map[string]int),
	}
	tcp, quic := e.Has(proto.ViaTCP), e.Has(proto.ViaQUIC)
	r.first = proto.ViaTCP
	second := proto.ViaQUIC
	if !tcp || quic && t.Prefer == proto.ViaQUIC {
		r.first, second = second, r.first
	}
	waits := tcp && quic // the second does
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	r.begin(r.first)
	var begun time.Time // the second
	for waits || r.running[proto.ViaTCP]+r.running[proto.ViaQUIC] > 0 {
		late := false // for the first
		select {
		case got := <-r.results:
			if r.take(got) {
				timer.Reset(max(graceTime, time.Since(begun)))
			}
		case <-timer.C:
			late = true
		}
		late = late || r.running[r.first] == 0
		switch {
		case r.over:
			waits = false
		case late && waits:
			waits, begun = false, time.Now()
			r.begin(second)
		case late && r.held != nil:
			r.settle(r.held)
		}
	}
	if r.won == nil {
		return nil, r.failed
	}
	return r.won, nil
}

func (r *race) begin(via string) {
	r.running[via] = len(r.addrs)
	for _, addr := range r.addrs {
		go func() {
			conn, err := r.attempt(via, addr)
			if err != nil {
				err = fmt.Errorf("dial %s over %s: %w", addr, via, err)
			}
			r.results <- raceResult{via, addr, conn, err} // race reads all
		}()
	}
}

// take takes what one attempt came to, and reports whether it is the first
// that is to be held.
func (r *race) take(got raceResult) bool {
	r.running[got.via]--
	switch {
	case r.over && got.err != nil:
	case got.err != nil && got.via == r.was && got.addr == r.addrs[0] && errors.Is(got.err, transport.ErrNobody):
		r.failed, r.left = fmt.Errorf("%w: %w", ErrLeft, got.err), true // unless the other carrier is there
	case got.err != nil:
		if r.failed == nil || !r.left && moreTelling(got.err, r.failed) {
			r.failed = got.err
		}
	case r.over || got.via == proto.ViaQUIC && r.held != nil:
		drop(got.conn)
	case got.via == proto.ViaQUIC && r.first == proto.ViaTCP && r.running[proto.ViaTCP] > 0:
		r.held = got.conn
		return true
	default:
		r.settle(got.conn)
	}
	return false
}

// settle ends the race.
func (r *race) settle(won transport.Conn) {
	r.over, r.won = true, won
	r.cancel()
	if r.held != nil && r.held != won {
		drop(r.held)
	}
}

// drop ends a connection that is not needed. It does not wait for the peer to
// hear of it.
func drop(c transport.Conn) { go c.Close(proto.OK.Wire(), "", net.ErrClosed) }

// moreTelling reports whether a says more about a target than b: somebody
// answered, and what was wrong with the answer.
func moreTelling(a, b error) bool {
	return proto.CodeOf(b) == proto.Unreachable && proto.CodeOf(a) != proto.Unreachable
}

// resolve looks up the addresses' host names. What comes twice, such as where a
// broken link was among where the peer said that it is, is dialled once.
func resolve(ctx context.Context, addrs []string) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	var failed error
	for _, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
		if err != nil {
			return nil, &proto.Error{Code: proto.Usage, Err: err}
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			if e, ok := errors.AsType[*net.DNSError](err); ok {
				err = errors.New(e.Err) // the host is said once
			}
			failed = proto.Errorf(proto.Unreachable, "look up %s: %w", host, err)
			continue
		}
		for _, ip := range ips {
			if addr := netip.AddrPortFrom(ip.Unmap(), uint16(n)); !slices.Contains(out, addr) {
				out = append(out, addr)
			}
		}
	}
	if len(out) == 0 && failed == nil {
		failed = proto.Errorf(proto.Unreachable, "no address is known for the peer")
	}
	if len(out) == 0 {
		return nil, failed
	}
	return out, nil
}
