package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
)

// halfOpen holds the connections whose peer has not authenticated itself yet, in three
// pools: TCP connections that have not sent a whole ClientHello, which costs a stranger
// almost nothing; QUIC connections in their handshake; and both together after that. A
// pool that is full gives up the oldest connection of the source that has the most in
// it, so that a source with few connections keeps them whatever other sources do. A
// QUIC connection in its handshake cannot be given up: new ones are refused, those of
// sources that have many first.
type halfOpen struct {
	mu         sync.Mutex
	silentTCP  pool
	silentQUIC pool
	handshake  pool
}

func newHalfOpen() *halfOpen {
	return &halfOpen{
		silentTCP:  pool{max: proto.MaxSilent, maxPerSource: proto.MaxSilent, fewPerSource: proto.MaxSilent},
		silentQUIC: pool{max: proto.MaxSilent, maxPerSource: proto.MaxHalfOpenPerSource, fewPerSource: proto.FewSilentPerSource},
		handshake:  pool{max: proto.MaxHalfOpen, maxPerSource: proto.MaxHalfOpenPerSource, fewPerSource: proto.MaxHalfOpenPerSource},
	}
}

// pool is the connections of one kind, the oldest first. They are counted as they come
// and go: while strangers fill a pool, each of their connections must cost little, since
// those of honest callers are accepted behind them.
type pool struct {
	max, maxPerSource int
	fewPerSource      int // replaces maxPerSource while half of the pool is taken
	places            []*place
	groups            [len(sources{})]map[origin]*group
}

// group is the connections of one source in a pool.
type group struct{ places int }

// place is that of one half-open connection.
type place struct {
	owner   *halfOpen
	sources sources
	// deadline is when the peer must be authenticated.
	deadline time.Time
	pool     *pool                  // nil after release
	groups   [len(sources{})]*group // in pool
	giveUp   func()                 // ends the connection; nil while that is not possible
}

// placeKey is the context key of a QUIC connection's place.
type placeKey struct{}

var errTooMany = proto.Errorf(proto.Busy, "too many unauthenticated connections")

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.silentTCP.places) + len(h.silentQUIC.places) + len(h.handshake.places)
}

// admit takes a place in a pool for a connection from addr, or reports that there is
// none. It is taken until it is released, or given up.
func (h *halfOpen) admit(in *pool, addr net.Addr, giveUp func()) (*place, error) {
	from, err := sourcesOf(addr)
	if err != nil {
		return nil, err
	}
	return h.admitFrom(in, from, giveUp)
}

func (h *halfOpen) admitFrom(in *pool, from sources, giveUp func()) (*place, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &place{owner: h, sources: from, deadline: time.Now().Add(proto.HelloTimeout), giveUp: giveUp}
	return p, h.enterLocked(p, in)
}

// moveOn moves a connection to the pool of those that are further.
func (p *place) moveOn() error {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	if p.pool == nil {
		return errTooMany
	}
	p.leaveLocked()
	return p.owner.enterLocked(p, &p.owner.handshake)
}

// canGiveUp says how to end the connection.
func (p *place) canGiveUp(giveUp func()) {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	p.giveUp = giveUp
}

// due returns when the peer must be authenticated.
func (p *place) due() time.Time {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	return p.deadline
}

func (p *place) release() {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	p.leaveLocked()
}

// enterLocked adds a place to a pool. While half of the pool is taken, connections have
// less time.
func (h *halfOpen) enterLocked(p *place, in *pool) error {
	if !in.makeRoomLocked(p.sources) {
		return errTooMany
	}
	if len(in.places) >= in.max/2 {
		if soon := time.Now().Add(proto.HurriedHelloTimeout); soon.Before(p.deadline) {
			p.deadline = soon
		}
	}
	p.pool = in
	in.places = append(in.places, p)
	for level, source := range p.sources {
		if in.groups[level] == nil {
			in.groups[level] = make(map[origin]*group)
		}
		g := in.groups[level][source]
		if g == nil {
			g = new(group)
			in.groups[level][source] = g
		}
		g.places++
		p.groups[level] = g
	}
	return nil
}

func (p *place) leaveLocked() {
	if p.pool == nil {
		return
	}
	for i, other := range p.pool.places {
		if other == p {
			p.pool.places = append(p.pool.places[:i], p.pool.places[i+1:]...)
			break
		}
	}
	for level, g := range p.groups {
		if g.places--; g.places == 0 {
			delete(p.pool.groups[level], p.sources[level])
		}
	}
	p.pool = nil
}

// makeRoomLocked gives up a connection if a new one from a source would be one too
// many, in all or for the source. It reports false if it can give up none.
func (in *pool) makeRoomLocked(from sources) bool {
	limit := in.maxPerSource
	if len(in.places) >= in.max/2 {
		limit = in.fewPerSource
	}
	for level, source := range from {
		if g := in.groups[level][source]; g != nil && g.places >= limit {
			return in.giveUpLocked(in.heaviestLocked(g, level+1))
		}
	}
	if len(in.places) < in.max {
		return true
	}
	return in.giveUpLocked(in.heaviestLocked(nil, 0))
}

// heaviestLocked returns the source that has the most connections: at first of the
// networks of a level, then of those in that. All are in the network of the level before
// that within is, if it is not nil. Of two with as many it returns the one with the
// oldest connection.
func (in *pool) heaviestLocked(within *group, level int) *group {
	for ; level < len(sources{}); level++ {
		var most *group
		for _, p := range in.places {
			if within != nil && p.groups[level-1] != within {
				continue
			}
			if g := p.groups[level]; most == nil || g.places > most.places {
				most = g
			}
		}
		within = most
	}
	return within
}

// giveUpLocked ends the oldest connection of a source that can be ended.
func (in *pool) giveUpLocked(source *group) bool {
	for _, p := range in.places {
		if p.groups[len(sources{})-1] == source && p.giveUp != nil {
			p.leaveLocked()
			go p.giveUp() // may block
			return true
		}
	}
	return false
}

// admitQUIC is a [quic.Transport.ConnContext]. The place is released when the
// connection ends, or before.
func (h *halfOpen) admitQUIC(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	p, err := h.admit(&h.silentQUIC, info.RemoteAddr, nil)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, p.release)
	return context.WithValue(ctx, placeKey{}, p), nil
}

// sources are the networks whose connections are counted together, the largest first:
// the IPv6 networks of 48, 56 and 64 bits, in which one host or one customer has as
// many addresses as it likes; or the IPv4 address thrice; or the name of a carrier's other
// end thrice.
type sources [3]origin

// origin is a network, or the name of the other end of a [Carrier].
type origin struct {
	network netip.Prefix
	name    string
}

func sourcesOf(addr net.Addr) (s sources, err error) {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return s, err
	}
	ip := ap.Addr().Unmap().WithZone("")
	for i, bits := range []int{48, 56, 64} {
		if !ip.Is6() {
			bits = ip.BitLen()
		}
		prefix, perr := ip.Prefix(bits)
		s[i], err = origin{network: prefix}, errors.Join(err, perr)
	}
	return s, err
}
