package link

import (
	"context"
	"sync"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// unanswered are the transfers that may have begun: P2P_HELLO was sent, and whether
// the listener has let us in is not known. It would not do so twice, so the next
// dial comes back to what may be there, as when a link has broken. The zero value is
// ready to use.
type unanswered struct {
	mu  sync.Mutex
	all map[asked]begun
}

// asked is whom we have asked, and for what.
type asked struct {
	peer           identity.ID
	method, public string
	kind           string
}

// begun is a transfer, and the secret of method resume.
type begun struct {
	transfer wire.TransferID
	secret   []byte
}

func (t *Target) asked() asked {
	return asked{t.ID, t.Credential.Method, string(t.Credential.Public), t.Kind}
}

func (u *unanswered) add(t *Target, b begun) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = make(map[asked]begun)
	}
	u.all[t.asked()] = b
}

func (u *unanswered) remove(t *Target) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, t.asked())
}

func (u *unanswered) of(t *Target) (b begun, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok = u.all[t.asked()]
	return b, ok
}

// comeBack makes a link for a transfer that may have begun. An error with code
// [proto.Denied] says that it has not, or is over.
func (e *Endpoint) comeBack(ctx context.Context, t Target, b begun) (*Link, error) {
	s := &session{secret: b.secret, endpoint: e, target: t}
	t.Credential = token.Credential{Method: wire.MethodResume, Public: b.transfer[:], Secret: b.secret}
	l, err := e.dial(ctx, t, s)
	if err != nil {
		return nil, err
	}
	if l.Transfer != b.transfer {
		err := proto.Errorf(proto.Protocol, "the peer answers for another transfer")
		l.Close(err)
		return nil, err
	}
	l.Resumed = true
	return l, nil
}
