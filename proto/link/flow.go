package link

import (
	"context"
	"errors"
	"net/netip"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// A flow is one more link for a transfer that has one: another connection, with
// a congestion window of its own, between the same two keys. Closing it ends
// neither the transfer nor its place at the listener.

// AddFlow makes another flow for the link's transfer over a carrier, to the same
// address. Only the dialer's end may. It blocks for at most [proto.DialTimeout].
// The error says nothing about the link itself.
func (l *Link) AddFlow(ctx context.Context, via string) (*Link, error) {
	s := l.session
	if !s.endpoint.Has(via) {
		return nil, proto.Errorf(proto.Unreachable, "no flows over %s here", via)
	}
	s.stripe()
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, transport.ErrNoAnswer)
	defer cancel()
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	t := s.target
	t.Credential = token.Credential{Method: wire.MethodFlow, Public: l.Transfer[:], Secret: s.secret}
	t.Want, t.Need = l.Granted, l.Granted
	conn, err := s.endpoint.Connect(ctx, via, addr, t.ID)
	if err != nil {
		return nil, err
	}
	flow, err := s.endpoint.greet(ctx, conn, t, s)
	if err != nil {
		return nil, err
	}
	if flow.Transfer != l.Transfer || flow.Granted != l.Granted {
		err := proto.Errorf(proto.Protocol, "the peer answers for another transfer")
		flow.shut(err, proto.Protocol.Wire(), "")
		return nil, err
	}
	return flow, nil
}

// AcceptFlow returns the next flow that the dialer has made for the link's
// transfer. Only the listener's end may call it. It blocks until there is one or
// ctx ends.
func (l *Link) AcceptFlow(ctx context.Context) (*Link, error) {
	select {
	case flow := <-l.session.flows:
		return flow, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Striped reports whether the transfer has had more than one flow, so that what
// comes over one of them need not be in order. It reports that before the peer
// can know of a second one.
func (l *Link) Striped() bool {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.session.striped
}

func (s *session) stripe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.striped = true
}

var errFlows = proto.Errorf(proto.Busy, "as many flows as a transfer may have")

// joined hands a flow to the session of its transfer.
func (l *Listener) joined(flow *Link) {
	s := l.session(flow.Transfer)
	if s == nil { // it has ended since the proof
		flow.shut(errEnded, proto.CodeOf(errEnded).Wire(), "")
		return
	}
	flow.session = s
	l.keep(flow)
	if err := s.join(flow); err != nil {
		flow.Close(err)
	}
}

// session returns that of a transfer, or nil when it has ended.
func (l *Listener) session(id wire.TransferID) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[id]
}

// join takes a flow on, unless the session has ended or has enough of them.
func (s *session) join(flow *Link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errEnded
	}
	if s.joined == proto.MaxFlows-1 {
		return errFlows
	}
	s.joined++
	context.AfterFunc(flow.conn.Context(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.joined--
	})
	select {
	case s.flows <- flow:
		return nil
	default: // nobody takes them; some that were never taken have ended
		return errFlows
	}
}

// dropFlows ends the flows that AcceptFlow has not taken. It is called with s.mu
// held, as all sends are.
func (s *session) dropFlows() {
	for {
		select {
		case flow := <-s.flows:
			go flow.shut(errEnded, proto.CodeOf(errEnded).Wire(), "") // may block for a while
		default:
			return
		}
	}
}

// FlowLost reports whether err, of a flow, says no more than that this flow is
// no more. Any other error of one is a breach of the protocol.
func FlowLost(err error) bool {
	code := proto.CodeOf(err)
	return errors.Is(err, ErrBroken) || code != proto.Protocol && code != proto.Integrity
}
