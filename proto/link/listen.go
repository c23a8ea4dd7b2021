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
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// revocationCheck is how often it is looked up who may still be here.
const revocationCheck = time.Second

// errClosed is what peers are told whom nobody has accepted, and what Accept
// says from then on.
var errClosed = proto.Errorf(proto.Truncated, "listener is closed")

// Listener waits for peers and proves them, many at a time.
type Listener struct {
	endpoint *Endpoint
	incoming *transport.Listener
	judge    handshake.Listener
	links    chan *Link // sent by serve, closed never: Accept also watches done
	done     context.Context
	stop     context.CancelCauseFunc
	wg       sync.WaitGroup

	mu     sync.Mutex
	places int
	held   map[identity.ID]int // places of each node that has any
	live   map[*Link]struct{}
	// sessions are those whose transfer has not ended, linked now or not.
	sessions map[wire.TransferID]*session
}

// Listen waits for peers that guard lets in, and grants them what of offer they
// may have, to at most max of them at a time. Further ones are told that we are
// busy.
func (e *Endpoint) Listen(guard handshake.Guard, offer proto.Caps, max int) (*Listener, error) {
	l := &Listener{
		endpoint: e,
		links:    make(chan *Link),
		places:   max,
		held:     make(map[identity.ID]int),
		live:     make(map[*Link]struct{}),
		sessions: make(map[wire.TransferID]*session),
	}
	l.judge = handshake.Listener{Guard: guard, Offer: offer, Takes: e.Takes, Resume: l.find, Window: e.WindowBytes(), Reserve: l.reserve, Release: l.release}
	l.done, l.stop = context.WithCancelCause(context.Background())
	own := e.key.ID()
	verify := func(id identity.ID) error {
		if id == own {
			return proto.Errorf(proto.Identity, "peer shows our own key")
		}
		return nil
	}
	var err error
	if l.incoming, err = e.Endpoint.Listen(verify, l.serve, l.stop); err != nil {
		return nil, err
	}
	l.wg.Go(l.watchGuard)
	return l, nil
}

// Accept returns the next peer that has proven itself and begins a transfer. It
// blocks until there is one, ctx ends or the listener or its socket is closed. Its place is
// free again when [Link.Close] has been called.
func (l *Listener) Accept(ctx context.Context) (*Link, error) {
	select {
	case link := <-l.links:
		return link, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.done.Done():
		return nil, context.Cause(l.done)
	}
}

// Close stops waiting. Links that were accepted live on.
func (l *Listener) Close() error {
	l.stop(errClosed)
	err := l.incoming.Close()
	l.wg.Wait()
	return err
}

func (l *Listener) reserve(peer identity.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most := l.endpoint.MaxPerPeer; l.places == 0 || most > 0 && l.held[peer] >= most {
		return false
	}
	l.places--
	l.held[peer]++
	return true
}

func (l *Listener) release(peer identity.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(peer)
}

func (l *Listener) releaseLocked(peer identity.ID) {
	l.places++
	if l.held[peer]--; l.held[peer] == 0 {
		delete(l.held, peer)
	}
}

// serve takes one connection through the handshake and hands its link to
// Accept. The connection is ended when accept has failed.
func (l *Listener) serve(in transport.Incoming) {
	ctx, cancel := context.WithDeadlineCause(l.done, in.At.Add(proto.HelloTimeout), proto.Errorf(proto.Timeout, "no handshake in %s", proto.HelloTimeout))
	defer cancel()
	var link *Link
	var secret []byte
	conn, err := in.Accept(ctx)
	if err != nil {
		err = transport.HandshakeError(ctx, err)
	} else if link, secret, err = l.handshake(ctx, conn); err != nil {
		code := proto.CodeOf(err)
		conn.Close(code.Wire(), code.String(), err)
	}
	if err != nil {
		l.endpoint.log.Info("peer turned away", "addr", in.Addr, "err", err)
		return
	}
	in.Release()
	l.endpoint.log.Info("peer connected", "peer", link.Peer, "addr", link.Addr(), "via", link.Via(), "granted", link.Granted, "transfer", link.Transfer)
	switch {
	case link.flow:
		l.joined(link)
		return
	case secret == nil:
		l.resumed(link)
		return
	}
	l.begin(link, secret)
	select {
	case l.links <- link:
	case <-conn.Context().Done():
		link.Close(nil)
	case <-l.done.Done():
		link.Close(errClosed)
	}
}

// keep watches a link that has a session for what ends it from outside.
func (l *Listener) keep(link *Link) {
	l.endpoint.keep(link)
	l.mu.Lock()
	l.live[link] = struct{}{}
	l.mu.Unlock()
	context.AfterFunc(link.conn.Context(), func() {
		l.mu.Lock()
		delete(l.live, link)
		l.mu.Unlock()
	})
}

// handshake is the listener's side of P2P_HELLO. A peer that is refused has
// been told so when it returns. The secret is nil for a link that goes on with
// a transfer.
func (l *Listener) handshake(ctx context.Context, conn transport.Conn) (*Link, []byte, error) {
	state := conn.TLS()
	peer, err := identity.OfCertificates(state.PeerCertificates)
	if err != nil {
		return nil, nil, err
	}
	b, err := binding(state, peer, l.endpoint.key.ID())
	if err != nil {
		return nil, nil, err
	}
	stop := transport.Bound(ctx, conn)
	defer stop()
	_, body, err := wire.ReadFrame(conn, wire.TypeHello)
	if err != nil {
		return nil, nil, transport.HandshakeError(ctx, err)
	}
	v := l.judge.Answer(b, body)
	if s := l.session(v.Transfer); v.Flow && s != nil {
		s.stripe()
	}
	if err := conn.Send(wire.AppendFrame(nil, v.Answer)); err != nil {
		l.unreserve(peer, v)
		return nil, nil, transport.HandshakeError(ctx, err)
	}
	if v.Err != nil {
		conn.Farewell(ctx)
		return nil, nil, v.Err
	}
	if !stop() {
		l.unreserve(peer, v)
		return nil, nil, context.Cause(ctx)
	}
	return &Link{Peer: peer, Transfer: v.Transfer, Granted: v.Granted, Kind: v.Kind, Window: l.endpoint.WindowBytes(), PeerWindow: v.Window, Token: v.Token, flow: v.Flow, conn: conn}, v.Secret, nil
}

// unreserve gives back the place of a peer that was let in and is gone before
// it knows.
func (l *Listener) unreserve(peer identity.ID, v handshake.Verdict) {
	if v.Err == nil && v.Secret != nil {
		l.release(peer)
	}
}

// watchGuard closes the links of who may not be here any more.
func (l *Listener) watchGuard() {
	tick := time.NewTicker(revocationCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.done.Done():
			return
		}
		for _, link := range l.revokedLinks() {
			what := "the key"
			if link.Token != nil {
				what = "token " + link.Token.String()
			}
			l.wg.Go(func() { link.Close(proto.Errorf(proto.Denied, "%s is revoked", what)) }) // may block for a while
		}
	}
}

func (l *Listener) revokedLinks() []*Link {
	l.mu.Lock()
	live := slices.Collect(maps.Keys(l.live))
	l.mu.Unlock()
	var out []*Link
	for _, link := range live {
		if l.judge.Guard.AccessRevoked(link.Peer, link.Token, link.Granted) {
			out = append(out, link)
		}
	}
	return out
}

var _ handshake.Guard = (*token.Registry)(nil)
