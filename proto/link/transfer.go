package link

import (
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// Credential returns the proof that this end has dialled the link. It is good for further
// links of the transfer. Only the dialer's end has it.
func (l *Link) Credential() token.Credential {
	return token.Credential{Method: wire.MethodResume, Public: l.Transfer[:], Secret: l.session.secret}
}

// FindTransfer returns what is known of a transfer that dialer names, as
// [token.Registry.Find] does of a token: its secret is that of [Link.Credential]. An error
// with code [proto.Denied] says that this endpoint has no such transfer of that node.
func (e *Endpoint) FindTransfer(id []byte, dialer identity.ID) (token.Admission, error) {
	return e.findSession(id, dialer)
}

// Transfer reports whether a transfer that a peer has begun here goes on, and whether it
// has a link now.
func (e *Endpoint) Transfer(id wire.TransferID) (goesOn, linked bool) {
	s := e.sessions.find(id)
	if s == nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return true, s.primary.conn.Context().Err() == nil
}

// Latest returns the link over which the transfer of l goes on: the one that Resume has
// returned last, or l.
func (l *Link) Latest() *Link {
	if next := l.session.latest.Load(); next != nil {
		return next
	}
	return l
}
