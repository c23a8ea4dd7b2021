package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/wire"
)

const (
	// placeFor is how long a place is kept for a dialer that has not linked yet.
	placeFor = time.Minute
	// firstPlacePause doubles with each failure up to maxPlacePause; while the link of the
	// transfer is broken the pause is brokenPlacePause at most.
	firstPlacePause  = time.Second
	maxPlacePause    = 30 * time.Second
	brokenPlacePause = 2 * time.Second
	// placeLook is the time between two looks at the transfer of a place.
	placeLook = 500 * time.Millisecond
	// maxPlaces bounds the places of one dialer; the oldest goes.
	maxPlaces = 16
)

// places are where a waiter waits for its dialers at relays. For each session one connection
// always waits there, so that a dialer whose link breaks need not ask for anything.
type places struct {
	node     *Node
	endpoint *link.Endpoint
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu  sync.Mutex
	all []*place // the oldest first
}

// place is what a waiter does for one session: it waits at the relay, if the hub offers one,
// and punches holes for the dialer.
type place struct {
	*access // nil without a relay
	peer    identity.ID
	punch   *punching // nil without direct paths
	token   string    // the id of that which the session has brought the dialer, "" if none
	began   time.Time
	cancel  context.CancelFunc

	mu       sync.Mutex
	transfer *wire.TransferID // that has come of the session; nil before
}

func (n *Node) newPlaces(e *link.Endpoint) *places {
	p := &places{node: n, endpoint: e}
	p.ctx, p.cancel = context.WithCancel(n.life)
	return p
}

// tokenID returns the id of the token in a grant, "" for none.
func tokenID(g hub.Grant) string {
	t, err := token.Parse(g.Token)
	if err != nil {
		return ""
	}
	return t.ID.String()
}

// close gives all places up.
func (ps *places) close() {
	ps.cancel()
	ps.wg.Wait()
}

// session is one for which a waiter takes a place.
type session struct {
	dialer   identity.ID
	at       hub.URL
	relays   []hub.Relay
	grant    hub.Grant        // what the dialer gets
	transfer *wire.TransferID // that a request of method "resume" is about, else nil
	keys     *hub.Keys
	updates  *agent.Updates
}

// open takes the place for a session: at the relay whose doors the hub offers, if there are
// any, and with holes for the dialer, if direct paths are allowed. It does not block.
func (ps *places) open(s session, at spot) {
	ctx, cancel := context.WithCancel(ps.ctx)
	p := &place{peer: s.dialer, token: tokenID(s.grant), transfer: s.transfer, began: time.Now(), cancel: cancel}
	direct, relayed := ps.node.options.Via.Reaches()
	if relayed {
		p.access = ps.node.newAccess(s.relays, s.at, s.dialer)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.ctx.Err() != nil {
		cancel()
		return
	}
	if direct && ps.punchingLocked() < maxPunching {
		p.punch = ps.node.punchForDialer(ctx, s, at)
	}
	if p.punch == nil && s.updates != nil {
		s.updates.Close()
	}
	ps.makeRoomLocked(p)
	ps.all = append(ps.all, p)
	if p.access != nil {
		ps.wg.Go(func() { ps.keep(ctx, p) })
	}
	ps.wg.Go(func() { ps.watch(ctx, p) })
}

// punchingLocked returns in how many sessions there are holes.
func (ps *places) punchingLocked() (n int) {
	for _, p := range ps.all {
		if p.punch != nil {
			n++
		}
	}
	return n
}

// makeRoomLocked ends the places that a new one of the same dialer replaces.
func (ps *places) makeRoomLocked(p *place) {
	var own []*place
	for _, other := range ps.all {
		if other.peer == p.peer {
			own = append(own, other)
		}
		if p.transfer != nil && other.serves(*p.transfer) {
			other.cancel()
		}
	}
	if len(own) >= maxPlaces {
		own[0].cancel()
	}
}

// serves reports whether a place is the one of a transfer.
func (p *place) serves(id wire.TransferID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.transfer != nil && *p.transfer == id
}

// claim notes the transfer of a link in the place of its session: the one that has brought
// the token, or the oldest of the dialer that has no transfer yet.
func (ps *places) claim(l *link.Link) {
	var text string
	if l.Token != nil {
		text = l.Token.String()
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		if p.peer == l.Peer && p.take(l.Transfer, text) {
			return
		}
	}
}

func (p *place) take(id wire.TransferID, by string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.transfer != nil || p.token != "" && p.token != by {
		return false
	}
	p.transfer = &id
	return true
}

// state reports whether a place is still wanted, and whether its transfer has no link.
func (ps *places) state(p *place) (wanted, broken bool) {
	p.mu.Lock()
	id := p.transfer
	p.mu.Unlock()
	if id == nil {
		return time.Since(p.began) < placeFor, false
	}
	goesOn, linked := ps.endpoint.Transfer(*id)
	return goesOn, goesOn && !linked
}

// watch ends a place that is not wanted any more.
func (ps *places) watch(ctx context.Context, p *place) {
	tick := time.NewTicker(placeLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if wanted, _ := ps.state(p); wanted {
				continue
			}
			p.cancel()
		}
		ps.mu.Lock()
		defer ps.mu.Unlock()
		ps.all = slices.DeleteFunc(ps.all, func(other *place) bool { return other == p })
		return
	}
}

// keep has one connection wait at the relay until ctx ends, or the relay does not take the
// permit any more: the dialer's next request brings another one. In another network it is a
// new connection: nobody tells the relay that the old one is dead.
func (ps *places) keep(ctx context.Context, p *place) {
	for ctx.Err() == nil && !p.refused.Load() {
		here, left := ps.node.untilChange(ctx)
		ps.keepHere(here, p)
		left()
	}
}

// keepHere is keep in one network.
func (ps *places) keepHere(ctx context.Context, p *place) {
	for fails := 0; ; {
		c, err := p.join(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Conn.Close()
			}
			return
		case err == nil:
			fails = 0
			if err := ps.endpoint.Take(c); err != nil {
				ps.node.Log.Info("connection through the relay is not taken", "relay", c.Path, "err", err)
			}
			continue
		case p.refused.Load():
			ps.node.Log.Info("no place at the relay", "err", err)
			return
		}
		ps.node.Log.Info("no place at the relay; it is tried again", "err", err)
		ps.pause(ctx, p, min(firstPlacePause<<min(fails, 5), maxPlacePause))
		fails++
	}
}

// pause waits for a time, for less while the transfer has no link.
func (ps *places) pause(ctx context.Context, p *place, limit time.Duration) {
	begun := time.Now()
	tick := time.NewTicker(placeLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, broken := ps.state(p)
		if took := time.Since(begun); took >= limit || broken && took >= brokenPlacePause {
			return
		}
	}
}
