package link

import (
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// session is one transfer between two nodes, at one end. It outlives its links, and
// ends when one of them is closed.
type session struct {
	secret []byte // of method resume

	// At the dialer's end.
	target Target
	dialed dialed

	// At the listener's end. listener is nil at the dialer's.
	listener  *Listener
	transfer  wire.TransferID
	peer      identity.ID
	granted   proto.Caps
	window    int64 // of this end
	token     *token.ID
	successor chan *Link // sent by resumeSession, one at a time; never closed
	flows     chan *Link // sent by addFlow; never closed

	latest atomic.Pointer[Link] // that Resume has returned; nil before

	mu      sync.Mutex
	primary *Link // the latest, at the listener's end
	coming  int   // links that take over soon, at the listener's end: P2P_OK is being sent
	joined  int   // flows that live
	striped bool  // there is a flow, or there was one
	ended   bool
	stalled func() time.Duration // see ReportStall; nil for none
}

var errEnded = proto.Errorf(proto.Truncated, "the transfer has ended")

// ReportStall tells the listener how to find out how long the transfer has made no
// progress for which the peer is to blame. From [proto.StallTimeout] on, the transfer
// may be ended when another peer needs its place. Only the listener's end uses it.
func (l *Link) ReportStall(stalled func() time.Duration) {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	l.session.stalled = stalled
}

func (s *session) stalledFor() time.Duration {
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled == nil {
		return 0
	}
	return stalled()
}

// end ends the session. The first time, it gives back the peer's place and closes
// the links that nobody has taken.
func (s *session) end() {
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	next := s.takeSuccessorLocked()
	s.closeFlowsLocked()
	s.mu.Unlock()
	if next != nil {
		next.closeConn(errEnded, proto.CodeOf(errEnded))
	}
	if !ended && s.listener != nil {
		s.listener.endpoint.sessions.remove(s.transfer)
		s.listener.releasePlace(s.peer)
		s.listener.endpoint.Budget.ReturnWindow(s.window)
	}
}

// sessions are the sessions of an endpoint's listeners whose transfer has not ended,
// whether they have a link now or not. The zero value is ready to use.
type sessions struct {
	mu  sync.Mutex
	all map[wire.TransferID]*session
}

// find returns nil for a transfer that has ended.
func (ss *sessions) find(id wire.TransferID) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.all[id]
}

func (ss *sessions) add(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.all == nil {
		ss.all = make(map[wire.TransferID]*session)
	}
	ss.all[s.transfer] = s
}

func (ss *sessions) remove(id wire.TransferID) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.all, id)
}

// beginSession makes the session of a link, which may be resumed and get flows from
// now on.
func (l *Listener) beginSession(link *Link, secret []byte) {
	link.session = &session{
		secret: secret, listener: l, transfer: link.Transfer, peer: link.Peer, granted: link.Granted, window: link.Window, token: link.Token,
		successor: make(chan *Link, 1), flows: make(chan *Link, proto.MaxFlows-1), primary: link,
	}
	l.endpoint.sessions.add(link.session)
}

// windowOf returns the window of a transfer that findSession has found.
func (e *Endpoint) windowOf(transfer []byte) int64 {
	if s := e.sessions.find(wire.TransferID(transfer)); s != nil {
		return s.window
	}
	return proto.MinWindowBytes // it has ended since
}

// findSession is the [handshake.Listener.Resume]. Only the node that began a transfer
// may go on with it, and only while it has access.
func (e *Endpoint) findSession(transfer []byte, dialer identity.ID) (token.Admission, error) {
	if len(transfer) == len(wire.TransferID{}) {
		s := e.sessions.find(wire.TransferID(transfer))
		if s != nil && s.peer == dialer {
			err := s.listener.judge.Guard.CheckAccess(dialer, s.token, s.granted)
			return token.Admission{Secret: s.secret, Caps: s.granted, Token: s.token}, err
		}
	}
	return token.Admission{}, proto.Errorf(proto.Denied, "no such transfer of this node")
}
