package link

import (
	"slices"
	"sync"

	"mesh/proto/identity"
	"mesh/proto/wire"
)

// unanswered are the transfers that may have begun at a listener: a dial sent
// P2P_HELLO and got no answer. The listener may have used up the token, and would
// not accept it twice, so the next dial for the same goes on with the transfer, as
// if its link had broken. The zero value is ready to use.
type unanswered struct {
	mu  sync.Mutex
	all map[request][]begun
}

// request is what a P2P_HELLO asked of a peer.
type request struct {
	peer           identity.ID
	method, public string
	kind           string
}

// begun is a transfer, its secret of method resume, and the last [wire.Hello.Try].
type begun struct {
	transfer wire.TransferID
	secret   []byte
	tries    uint32
}

func (t *Target) request() request {
	return request{t.ID, t.Credential.Method, string(t.Credential.Public), t.Kind}
}

func (u *unanswered) add(t *Target, b begun) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = make(map[request][]begun)
	}
	u.all[t.request()] = append(u.all[t.request()], b)
}

// take removes and returns the latest one for a target. So no two dials go on with
// the same transfer.
func (u *unanswered) take(t *Target) (b begun, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := t.request()
	all := u.all[key]
	if len(all) == 0 {
		return begun{}, false
	}
	b = all[len(all)-1]
	if all = slices.Delete(all, len(all)-1, len(all)); len(all) == 0 {
		delete(u.all, key)
	} else {
		u.all[key] = all
	}
	return b, true
}
