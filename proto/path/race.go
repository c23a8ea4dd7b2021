package path

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/transport"
)

// maxBarred bounds the paths in the error of a race that was allowed none.
const maxBarred = 4

// race is one [Dial]. One goroutine runs it; attempts report to it.
type race struct {
	endpoint *transport.Endpoint
	target   Target
	leader   string // the transport that each address is dialled over first
	follower string // the other one; "" if the endpoint has one transport
	cancel   func() // ends the attempts that run

	routes     []*route
	found      <-chan lookup
	candidates <-chan candidate.Candidate
	further    <-chan Route
	streams    int // direct attempts over further routes, so far
	relays     relays

	results chan result    // sent by each attempt once; run reads all
	answers chan answer    // sent by TCP attempts before TLS; run reads all
	running map[string]int // direct attempts by transport

	over      bool // there is a winner
	stopped   bool // ctx has ended: nothing more is dialled
	won       transport.Conn
	held      transport.Conn // over QUIC, while TCP to the same address is preferred
	heldRoute *route
	heldUntil time.Time
	left      bool // failed is ErrLeft
	failed    error
	notFound  error    // of a lookup
	barred    []string // the first paths that target.Via does not allow
}

// route is one address.
type route struct {
	addr      netip.AddrPort
	given     bool // by a person, as the peer's
	added     time.Time
	headStart time.Duration // of the leader, unless the path is near
	via       map[string]progress
	near      bool // TCP was answered within nearTime, or the address is loopback
}

// progress is how far the attempt over one transport is.
type progress int

const (
	unwanted progress = iota // this transport is not known to reach the address
	waiting
	begun
	failed
)

type result struct {
	route *route
	via   string
	took  time.Duration
	conn  transport.Conn
	err   error
}

type answer struct {
	route *route
	took  time.Duration
}

func newRace(e *transport.Endpoint, t Target, cancel func()) *race {
	r := &race{
		endpoint: e, target: t, candidates: t.Candidates, further: t.Routes, relays: newRelays(), cancel: cancel, leader: proto.ViaTCP, follower: proto.ViaQUIC,
		results: make(chan result), answers: make(chan answer), running: make(map[string]int),
	}
	if t.Prefer == Interactive {
		r.leader, r.follower = r.follower, r.leader
	}
	if !e.Has(r.leader) {
		r.leader, r.follower = r.follower, ""
	} else if !e.Has(r.follower) {
		r.follower = ""
	}
	return r
}

// run dials what arrives on the channels. It returns when every attempt and every
// lookup has ended.
func (r *race) run(ctx context.Context, found <-chan lookup) {
	r.found = found
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	for {
		r.startDue(ctx)
		r.settleHeld()
		if r.over || r.stopped {
			r.candidates, r.further = nil, nil
		}
		next, waits := r.nextEvent()
		if !waits && !r.mayGo() {
			return
		}
		timer.Stop()
		if waits {
			timer.Reset(time.Until(next))
		}
		select {
		case l, ok := <-r.found:
			if !ok {
				r.found = nil
			}
			r.addLookup(l)
		case c, ok := <-r.candidates:
			if !ok {
				r.candidates = nil
			}
			r.addCandidate(c)
		case w, ok := <-r.further:
			if !ok {
				r.further = nil
				break
			}
			r.startRoute(ctx, w)
		case a := <-r.answers:
			a.route.near = a.route.near || a.took < nearTime
		case got := <-r.results:
			r.noteResult(got)
		case got := <-r.relays.results:
			r.noteRelay(got)
		case <-timer.C:
		case <-done:
			done, r.stopped = nil, true
		}
	}
}

// mayGo reports whether a connection may still come, or something runs.
func (r *race) mayGo() bool { return r.mayGoDirect() || r.further != nil || r.relays.running > 0 }

// mayGoDirect is mayGo without relays and without routes that are yet to come. It does
// not know of attempts that are due.
func (r *race) mayGoDirect() bool {
	return r.found != nil || r.candidates != nil || r.running[proto.ViaTCP]+r.running[proto.ViaQUIC] > 0
}

// settleHeld ends the race with a connection that has waited for a better one for long
// enough.
func (r *race) settleHeld() {
	switch now := time.Now(); {
	case r.over:
	case r.held != nil:
		if r.heldRoute.via[proto.ViaTCP] != begun || !now.Before(r.heldUntil) {
			r.settleWinner(r.held)
		}
	case r.relays.held != nil:
		if !r.mayGoDirect() || !now.Before(r.relays.heldUntil) {
			r.settleWinner(r.relays.held)
		}
	}
}

// nextEvent returns when the next attempt is due, or the grace time of a held
// connection is over.
func (r *race) nextEvent() (next time.Time, ok bool) {
	if r.over || r.stopped {
		return next, false
	}
	switch {
	case r.held != nil:
		next, ok = r.heldUntil, true
	case r.relays.held != nil:
		next, ok = r.relays.heldUntil, true
	}
	for _, p := range r.routes {
		if due := r.followsAt(p); p.via[r.follower] == waiting && (!ok || due.Before(next)) {
			next, ok = due, true
		}
	}
	return next, ok
}

// startDue begins the attempts that are due. The leader's is at once, the follower's
// when the head start is over or the leader has nothing left to try.
func (r *race) startDue(ctx context.Context) {
	if r.over || r.stopped {
		return
	}
	for _, p := range r.routes {
		if p.via[r.leader] == waiting {
			r.startAttempt(ctx, p, r.leader)
		}
	}
	for _, p := range r.routes {
		if p.via[r.follower] == waiting && (p.via[r.leader] == failed || r.running[r.leader] == 0 || !time.Now().Before(r.followsAt(p))) {
			r.startAttempt(ctx, p, r.follower)
		}
	}
}

// followsAt returns when an address is dialled over the follower, if the leader has
// not failed before.
func (r *race) followsAt(p *route) time.Time {
	if r.target.Prefer == Interactive || slices.ContainsFunc(r.routes, func(p *route) bool { return p.near }) {
		return p.added.Add(headStart)
	}
	return p.added.Add(p.headStart)
}

func (r *race) addLookup(l lookup) {
	if l.err != nil && r.notFound == nil {
		r.notFound = l.err
	}
	for _, addr := range l.addrs {
		r.addRoute(addr, proto.ViaTCP, r.target.Given)
		r.addRoute(addr, proto.ViaQUIC, r.target.Given)
	}
}

// addCandidate adds the address of a candidate, for its protocol alone.
func (r *race) addCandidate(c candidate.Candidate) {
	addr, ok := c.AddrPort()
	if !ok {
		return
	}
	via := proto.ViaTCP
	if c.Proto == candidate.UDP {
		via = proto.ViaQUIC
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if c.Type == candidate.PortMapped {
		r.endpoint.NoteMapped(addr)
	}
	r.addRoute(addr, via, false)
}

// addRoute adds an address, unless the endpoint lacks the transport, the address is
// known, or there are [MaxAddrs].
func (r *race) addRoute(addr netip.AddrPort, via string, given bool) {
	if via != r.leader && via != r.follower {
		return
	}
	for _, p := range r.routes {
		if p.addr == addr && r.target.Via.Uses(via) {
			p.via[via] = max(p.via[via], waiting)
			if p.via[via] == failed && r.target.Above != "" { // it may be open only now: such a dial may last for minutes
				p.via[via] = waiting
			}
			p.given = p.given || given
			return
		}
	}
	if len(r.routes) == MaxAddrs || r.bars(addr, via) {
		return
	}
	p := &route{
		addr: addr, given: given, added: time.Now(), headStart: directStart, via: map[string]progress{via: waiting},
		near: addr.Addr().IsLoopback(), // however busy this machine is
	}
	if To(r.endpoint, via, addr.Addr()).Kind == LAN {
		p.headStart = nearTime
	}
	r.routes = append(r.routes, p)
}

// bars reports whether the target forbids the path to an address.
func (r *race) bars(addr netip.AddrPort, via string) bool {
	p := To(r.endpoint, via, addr.Addr())
	return r.barsPath(p, p.String()+" "+addr.String())
}

func (r *race) barsPath(p Path, text string) bool {
	if r.target.Above != "" && !p.Kind.Better(r.target.Above) {
		return true
	}
	if slices.ContainsFunc(r.target.Refused, func(q Path) bool { return isLike(p, q) }) {
		return true
	}
	if r.target.Via.Allows(p) {
		return false
	}
	if len(r.barred) < maxBarred && !slices.Contains(r.barred, text) {
		r.barred = append(r.barred, text)
	}
	return true
}

// startAttempt begins an attempt. It sends one result.
func (r *race) startAttempt(ctx context.Context, p *route, via string) {
	p.via[via] = begun
	r.running[via]++
	r.relays.lastDirect = time.Now()
	go func() {
		at := time.Now()
		conn, err := r.endpoint.Connect(ctx, transport.Attempt{Via: via, Addr: p.addr, ID: r.target.ID, Answered: func() {
			r.answers <- answer{p, time.Since(at)}
		}})
		if err != nil {
			err = fmt.Errorf("dial %s over %s: %w", p.addr, via, err)
		}
		r.results <- result{p, via, time.Since(at), conn, err}
	}()
}

// startRoute begins an attempt over a route that is no address, if that is allowed.
func (r *race) startRoute(ctx context.Context, w Route) {
	switch {
	case w.Path.Kind == Relay:
		r.startRelay(ctx, w)
		return
	case r.streams == maxStreams, r.barsPath(w.Path, w.Path.String()):
		return
	}
	r.streams++
	r.running[proto.ViaTCP]++
	r.relays.lastDirect = time.Now()
	go func() {
		at := time.Now()
		conn, err := r.dialRoute(ctx, w)
		p := &route{via: map[string]progress{proto.ViaTCP: begun}}
		r.results <- result{p, proto.ViaTCP, time.Since(at), conn, err}
	}()
}

// dialRoute makes the stream of a route a connection to the peer.
func (r *race) dialRoute(ctx context.Context, w Route) (transport.Conn, error) {
	carrier, err := w.Dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("dial through %s: %w", w.Path, err)
	}
	conn, err := r.endpoint.ConnectOver(ctx, carrier, r.target.ID)
	if err != nil {
		return nil, fmt.Errorf("dial through %s: %w", carrier.Path, err)
	}
	return conn, nil
}

func (r *race) noteResult(got result) {
	r.running[got.via]--
	if got.err != nil {
		got.route.via[got.via] = failed
		got.route.near = got.route.near && got.via != proto.ViaTCP
	}
	switch {
	case r.over && got.err != nil:
	case got.err != nil:
		r.noteFailure(got)
	case r.over || got.via == proto.ViaQUIC && r.held != nil:
		closeUnused(got.conn)
	case r.shouldHold(got):
		r.held, r.heldRoute, r.heldUntil = got.conn, got.route, time.Now().Add(max(graceTime, got.took))
	default:
		r.settleWinner(got.conn)
	}
}

// shouldHold reports whether a QUIC connection waits for TCP: the path is near, and TCP
// may still come.
func (r *race) shouldHold(got result) bool {
	return got.via == proto.ViaQUIC && r.leader == proto.ViaTCP && got.route.via[proto.ViaTCP] == begun &&
		(got.route.near || got.took < nearTime)
}

// settleWinner ends the race with a winner.
func (r *race) settleWinner(won transport.Conn) {
	r.over, r.won = true, won
	r.cancel()
	for _, held := range []transport.Conn{r.held, r.relays.held} {
		if held != nil && held != won {
			closeUnused(held)
		}
	}
	r.held, r.relays.held = nil, nil
}

// closeUnused closes a connection without waiting for the peer.
func closeUnused(c transport.Conn) { go c.Close(proto.OK.Wire(), "", net.ErrClosed) }
