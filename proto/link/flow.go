package link

import (
	"context"
	"errors"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/transport"
	"mesh/proto/wire"
)

// A flow is one more link of a session: another connection between the same two
// keys, with a congestion window of its own. Closing it ends neither the transfer nor
// the peer's place at the listener.

// AddFlow makes another flow for the link's transfer over a transport: to the same address;
// beside a link over QUIC, or through a TCP hole, to any TCP address that is known of the
// peer; or through a relay if the link goes through one. Only the dialer's end may
// call it. It blocks for at most [proto.DialTimeout]. An error says nothing about the
// link itself.
func (l *Link) AddFlow(ctx context.Context, via string) (*Link, error) {
	l.session.setStriped()
	ctx, cancel := context.WithTimeoutCause(ctx, proto.DialTimeout, transport.ErrNoAnswer)
	defer cancel()
	t := l.session.target
	t.Credential = token.Credential{Method: wire.MethodFlow, Public: l.Transfer[:], Secret: l.session.secret}
	t.Want, t.Need, t.try = l.Granted, l.Granted, l.try
	conn, err := l.connectBeside(ctx, via)
	if err != nil {
		return nil, err
	}
	flow, err := l.endpoint.openLink(ctx, conn, t, l.session)
	if err != nil {
		return nil, err
	}
	if flow.Transfer != l.Transfer || flow.Granted != l.Granted {
		err := proto.Errorf(proto.Protocol, "the peer answers for another transfer")
		flow.closeConn(err, proto.Protocol)
		return nil, err
	}
	return flow, nil
}

// connectBeside makes a connection that goes where the link goes.
func (l *Link) connectBeside(ctx context.Context, via string) (transport.Conn, error) {
	e, t := l.endpoint, l.session.target
	addr, direct := l.addrPort()
	switch over, allowed := t.Via.And(path.Via{Transport: via, Kind: path.Direct}); {
	case l.conn.Path().Kind == path.Relay:
		if t.Meeting == nil || via != proto.ViaTCP {
			break
		}
		_, all := t.Meeting.Routes(ctx)
		return path.Dial(ctx, e.Endpoint, path.Target{ID: t.ID, Routes: all, Via: path.Via{Kind: path.Relay}})
	case !allowed || !e.Has(via):
	case direct && via == l.Via():
		return e.Connect(ctx, transport.Attempt{Via: via, Addr: addr, ID: t.ID})
	case via == proto.ViaTCP:
		to := path.Target{ID: t.ID, Addrs: t.Addrs, Via: over}
		if direct {
			to.Addrs = append([]string{addr.String()}, t.Addrs...)
		}
		if t.Meeting != nil {
			to.Candidates, to.Routes = t.Meeting.Better(ctx, l.Path().Kind)
		}
		return path.Dial(ctx, e.Endpoint, to)
	case direct:
		return e.Connect(ctx, transport.Attempt{Via: via, Addr: addr, ID: t.ID})
	}
	return nil, proto.Errorf(proto.Unreachable, "no flows over %s here", via)
}

// AcceptFlow returns the next flow that the dialer has made for the link's transfer.
// Only the listener's end may call it. It blocks until there is one or ctx ends.
func (l *Link) AcceptFlow(ctx context.Context) (*Link, error) {
	select {
	case flow := <-l.session.flows:
		return flow, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// FlowLost reports whether err, of a flow, says only that this flow has ended. Any
// other error of a flow is a breach of the protocol.
func FlowLost(err error) bool {
	code := proto.CodeOf(err)
	return errors.Is(err, ErrBroken) || code != proto.Protocol && code != proto.Integrity
}

// Striped reports whether the transfer has or had more than one flow, so that chunks
// on one of them need not be in order. It is true before the peer can know of the
// second flow.
func (l *Link) Striped() bool {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.session.striped
}

func (s *session) setStriped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.striped = true
}

// joinSession hands a flow to its session, or closes it.
func (e *Endpoint) joinSession(flow *Link) {
	s := e.sessions.find(flow.Transfer)
	if s == nil { // it has ended since P2P_HELLO was judged
		flow.closeConn(errEnded, proto.CodeOf(errEnded))
		return
	}
	flow.session = s
	s.listener.trackLink(flow)
	if err := s.addFlow(flow); err != nil {
		flow.Close(err)
	}
}

var errFlows = proto.Errorf(proto.Busy, "as many flows as a transfer may have")

func (s *session) addFlow(flow *Link) error {
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
	default: // AcceptFlow has not taken some flows that have ended since
		return errFlows
	}
}

// closeFlowsLocked closes the flows that AcceptFlow has not taken.
func (s *session) closeFlowsLocked() {
	for {
		select {
		case flow := <-s.flows:
			go flow.closeConn(errEnded, proto.CodeOf(errEnded)) // may block for a while
		default:
			return
		}
	}
}
