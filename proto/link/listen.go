package link

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
)

// revocationCheck is the time between two checks that peers still have access.
const revocationCheck = time.Second

var (
	_ handshake.Guard = (*token.Registry)(nil)

	// errClosed is the error of Accept on a closed listener, and what a peer is told
	// that no Accept has returned.
	errClosed = proto.Errorf(proto.Truncated, "listener is closed")
)

// ListenOptions say which peers a listener accepts, and for what.
type ListenOptions struct {
	// Guard knows the credentials.
	Guard handshake.Guard
	// Offer is what a peer can be granted, as far as its credential allows.
	Offer proto.Caps
	// Takes reports whether a kind of transfer is accepted. It is called for each
	// peer. Nil for pipes alone.
	Takes func(kind string) bool
	// TakesNamed accepts pipes with a name, also where Takes accepts no pipes.
	TakesNamed bool
	// Via says over which paths peers may come. One that comes over another is refused,
	// after its proof and before its token is used.
	Via path.Via
	// Max is the number of peers at a time. Further ones are told that this node is
	// busy.
	Max int
	// MaxPerPeer is how many of Max one node may be; 0 for all.
	MaxPerPeer int
}

// Listener accepts the links of peers that have proven what they may do.
type Listener struct {
	endpoint   *Endpoint
	judge      handshake.Listener
	maxPerPeer int
	via        path.Via
	links      chan *Link    // sent by deliver; never closed, so Accept reads done too
	done       chan struct{} // closed by stop
	stopOnce   sync.Once
	err        error // why done is closed; set before
	wg         sync.WaitGroup

	mu    sync.Mutex
	free  int                 // places
	taken map[identity.ID]int // places of each node that has any
	live  map[*Link]struct{}
}

// Listen begins to accept peers. Several listeners of an endpoint share its sockets:
// a peer belongs to the oldest one that accepts its credential, kind and wanted
// capabilities. When the last one is closed, the endpoint closes its TCP socket for
// listening.
func (e *Endpoint) Listen(o ListenOptions) (*Listener, error) {
	l := &Listener{
		endpoint:   e,
		maxPerPeer: o.MaxPerPeer,
		via:        o.Via,
		links:      make(chan *Link),
		done:       make(chan struct{}),
		free:       o.Max,
		taken:      make(map[identity.ID]int),
		live:       make(map[*Link]struct{}),
	}
	l.judge = handshake.Listener{
		Guard: o.Guard, Offer: o.Offer, Takes: o.Takes, TakesNamed: o.TakesNamed, Window: e.WindowBytes(),
		BeginWindow: func() int64 { return e.Budget.TakeWindow(e.WindowBytes()) }, ReturnWindow: e.Budget.ReturnWindow,
		ResumeWindow: e.windowOf, Resume: e.findSession, Late: e.isLate, Reserve: l.reservePlace, Release: l.releasePlace,
	}
	if err := e.addListener(l); err != nil {
		return nil, err
	}
	l.wg.Go(l.checkAccess)
	return l, nil
}

// judgeOf returns what judges the dialer at the other end of a connection.
func (l *Listener) judgeOf(conn transport.Conn) *handshake.Listener {
	judge := l.judge
	if p := path.Of(l.endpoint.Endpoint, conn); !l.via.Allows(p) {
		judge.WrongPath, judge.Minor = p.String(), transport.MinorVersion(conn)
	}
	return &judge
}

// Accept returns the next link of a peer that begins a transfer. It blocks until
// there is one, ctx ends, or the listener or its socket is closed. The peer's place
// is free again when the transfer has ended: see [Link.Close].
func (l *Listener) Accept(ctx context.Context) (*Link, error) {
	select {
	case link := <-l.links:
		return link, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.done:
		return nil, l.err
	}
}

// deliver hands a link to Accept. It blocks until that takes it.
func (l *Listener) deliver(link *Link) {
	select {
	case l.links <- link:
	case <-link.conn.Context().Done():
		link.Close(nil)
	case <-l.done:
		link.Close(errClosed)
	}
}

// Close ends Accept. It closes neither the links that Accept has returned nor other
// listeners of the endpoint.
func (l *Listener) Close() error {
	l.stop(errClosed)
	l.endpoint.removeListener(l)
	l.wg.Wait()
	return nil
}

func (l *Listener) stop(err error) {
	l.stopOnce.Do(func() {
		l.err = err
		close(l.done)
	})
}

// reservePlace takes a place for a peer. If there is none, the transfer that has made
// no progress for longest loses its place, see [proto.StallTimeout].
func (l *Listener) reservePlace(peer identity.ID) bool {
	if l.takePlace(peer) {
		return true
	}
	stalled := l.stalledLink(peer)
	if stalled == nil {
		return false
	}
	err := proto.Errorf(proto.Timeout, "no progress for %s, and another peer needs the place", proto.StallTimeout)
	stalled.session.end()
	go stalled.Close(err) // may block for a while
	return l.takePlace(peer)
}

func (l *Listener) takePlace(peer identity.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == 0 || l.isPerPeerLimitLocked(peer) {
		return false
	}
	l.free--
	l.taken[peer]++
	return true
}

func (l *Listener) isPerPeerLimitLocked(peer identity.ID) bool {
	return l.maxPerPeer > 0 && l.taken[peer] >= l.maxPerPeer
}

// stalledLink returns the link whose place a peer may take, nil if there is none. A
// peer that has as many places as one may have can take its own alone.
func (l *Listener) stalledLink(peer identity.ID) *Link {
	l.mu.Lock()
	live, own := slices.Collect(maps.Keys(l.live)), l.isPerPeerLimitLocked(peer)
	l.mu.Unlock()
	var stalled *Link
	longest := proto.StallTimeout
	for _, link := range live {
		if link.flow || own && link.Peer != peer {
			continue
		}
		if d := link.session.stalledFor(); d >= longest {
			stalled, longest = link, d
		}
	}
	return stalled
}

func (l *Listener) releasePlace(peer identity.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free++
	if l.taken[peer]--; l.taken[peer] == 0 {
		delete(l.taken, peer)
	}
}

// trackLink includes a link in the checks of access until it ends.
func (l *Listener) trackLink(link *Link) {
	link.watchConn()
	l.mu.Lock()
	l.live[link] = struct{}{}
	l.mu.Unlock()
	context.AfterFunc(link.conn.Context(), func() {
		l.mu.Lock()
		delete(l.live, link)
		l.mu.Unlock()
	})
}

// checkAccess closes the links of peers whose access is revoked, until the listener
// is closed.
func (l *Listener) checkAccess() {
	tick := time.NewTicker(revocationCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.done:
			return
		}
		for link, err := range l.revokedLinks() {
			if proto.CodeOf(err) != proto.Denied {
				l.endpoint.Fail(err)
				err = proto.Errorf(proto.Busy, "%w", err)
			}
			l.wg.Go(func() { link.Close(err) }) // may block for a while
		}
	}
}

// revokedLinks returns the links to close, and why.
func (l *Listener) revokedLinks() map[*Link]error {
	l.mu.Lock()
	live := slices.Collect(maps.Keys(l.live))
	l.mu.Unlock()
	revoked := make(map[*Link]error)
	for _, link := range live {
		if err := l.judge.Guard.CheckAccess(link.Peer, link.Token, link.Granted); err != nil {
			revoked[link] = err
		}
	}
	return revoked
}
