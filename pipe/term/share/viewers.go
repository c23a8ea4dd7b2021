package share

import (
	"maps"
	"slices"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// viewers are the connected viewers, and the rights that the sharer gave and took in
// this session.
type viewers struct {
	canType bool // there is something to type into
	stream  *stream
	left    chan struct{} // remove sends; has room for one value; never closed

	// mu guards what follows, and the marked fields of each viewer.
	mu       sync.Mutex
	byNumber map[int]*viewer
	last     int // the number of the viewer that joined last
	// Node ids: those that may not come back, and those that may type or may not,
	// whatever their tokens allow.
	banned, granted, muted map[string]bool
	onlyGranted            bool // tokens allow nobody to type any more
	// seen are the nodes that have joined; no more than maxSeen. The tokens in closed
	// admit only those.
	seen, closed map[string]bool
}

// maxSeen bounds the nodes that a session remembers: each peer can have any number of
// keys. One that is not remembered counts as new.
const maxSeen = 10_000

func newViewers(canType bool, stream *stream) *viewers {
	return &viewers{
		canType: canType, stream: stream, left: make(chan struct{}, 1),
		byNumber: make(map[int]*viewer),
		banned:   make(map[string]bool), granted: make(map[string]bool), muted: make(map[string]bool),
		seen: make(map[string]bool), closed: make(map[string]bool),
	}
}

// add adds a viewer, unless its node is banned.
func (vs *viewers) add(v *viewer) error {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.banned[v.who.ID] {
		return errSentAway
	}
	if vs.closed[v.who.Token] && !vs.seen[v.who.ID] {
		return errTokenClosed
	}
	if len(vs.seen) < maxSeen {
		vs.seen[v.who.ID] = true
	}
	vs.last++
	v.number = vs.last
	v.everAllowed = vs.mayType(v.who)
	v.typist.muted.Store(!v.everAllowed)
	vs.stream.subscribe(&v.sub, &v.open)
	vs.byNumber[v.number] = v
	return nil
}

var errTokenClosed = proto.Errorf(proto.Declined, "the sharer admits no new nodes with this token")

// closeToken closes the token that admitted a viewer to nodes that have not joined
// before: otherwise the same person would come back with another key. It is called with
// mu held.
func (vs *viewers) closeToken(v *viewer) {
	if v.who.Token != "" {
		vs.closed[v.who.Token] = true
	}
}

// usesToken reports whether a token admitted a viewer.
func (vs *viewers) usesToken(number int) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.byNumber[number]
	return v != nil && v.who.Token != ""
}

// isClosed reports whether a token is closed to new nodes.
func (vs *viewers) isClosed(token string) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.closed[token]
}

var errSentAway = proto.Errorf(proto.Declined, "the peer was sent away")

func (vs *viewers) remove(v *viewer) {
	vs.mu.Lock()
	delete(vs.byNumber, v.number)
	vs.stream.unsubscribe(&v.sub)
	vs.mu.Unlock()
	select {
	case vs.left <- struct{}{}:
	default:
	}
}

// all returns the viewers in the order in which they joined.
func (vs *viewers) all() []*viewer {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	list := make([]*viewer, 0, len(vs.byNumber))
	for _, n := range slices.Sorted(maps.Keys(vs.byNumber)) {
		list = append(list, vs.byNumber[n])
	}
	return list
}

// sameNode returns the viewers of a node. It is called with mu held.
func (vs *viewers) sameNode(id string) []*viewer {
	var list []*viewer
	for _, v := range vs.byNumber {
		if v.who.ID == id {
			list = append(list, v)
		}
	}
	return list
}

// tellHeld tells the viewers that may type how the output continues that somebody has
// stopped. It is repeated, so only those get it that show a picture.
func (vs *viewers) tellHeld() {
	for _, v := range vs.all() {
		if v.open.Mode == wire.TermScreen && !v.typist.muted.Load() {
			v.typist.tell("Ctrl-S has stopped the output; Ctrl-Q continues it")
		}
	}
}

// wakeAll makes a TERM_CTL due for all viewers.
func (vs *viewers) wakeAll() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, v := range vs.byNumber {
		v.ctlDue.Store(true)
		v.sub.wake()
	}
}

// mayType reports whether a viewer may type when it joins: its link allows it, or its
// node was granted it, and the right was not revoked since. It is called with mu held.
func (vs *viewers) mayType(who Visitor) bool {
	switch {
	case !vs.canType:
		return false
	case vs.granted[who.ID]:
		return true
	}
	return who.Caps.Has(proto.CapTTYControl) && !vs.onlyGranted && !vs.muted[who.ID]
}

func (vs *viewers) wasEverAllowed(v *viewer) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return v.everAllowed
}

func (vs *viewers) isAsking(v *viewer) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return v.asking
}

func (vs *viewers) hasNotice(v *viewer) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return v.notice != ""
}

// takeNews returns what a TERM_CTL for v tells, and clears its notice.
func (vs *viewers) takeNews(v *viewer) (n int, asking bool, notice string) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	notice, v.notice = v.notice, ""
	return len(vs.byNumber), v.asking, notice
}

// ask notes that a viewer asks for the right to type, and reports whether that is new
// and can be granted.
func (vs *viewers) ask(v *viewer) (isNew bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v.asking || !v.typist.muted.Load() {
		return false
	}
	if !vs.canType {
		v.notice = "nobody can type here"
		v.ctlDue.Store(true)
		v.sub.wake()
		return false
	}
	v.asking = true
	return true
}

// ban bans the node of a viewer, and returns all viewers of that node.
func (vs *viewers) ban(number int) ([]*viewer, error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.byNumber[number]
	if v == nil {
		return nil, errNoViewer
	}
	vs.banned[v.who.ID] = true
	vs.closeToken(v)
	return vs.sameNode(v.who.ID), nil
}

var errNoViewer = proto.Errorf(proto.Usage, "there is no such viewer")

// grant gives the right to type to the node of a viewer, which it returns.
func (vs *viewers) grant(number int) (*viewer, error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.byNumber[number]
	switch {
	case v == nil:
		return nil, errNoViewer
	case !vs.canType:
		return nil, proto.Errorf(proto.Usage, "nobody can type into a stream")
	}
	vs.granted[v.who.ID] = true
	delete(vs.muted, v.who.ID)
	for _, v := range vs.sameNode(v.who.ID) {
		if v.typist.muted.Load() {
			v.everAllowed, v.asking = true, false
			v.typist.muted.Store(false)
			v.notice = "you may type here now"
		}
	}
	return v, nil
}

// revoke takes the right to type from the node of a viewer, which it returns, and
// declines its request for it. Number 0 means everybody, also those who join later. The
// caller drops the input of the typists that are muted now.
func (vs *viewers) revoke(number int) (v *viewer, muted []*typist, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v = vs.byNumber[number]
	list := slices.Collect(maps.Values(vs.byNumber))
	switch {
	case number == 0:
		vs.onlyGranted = true
		clear(vs.granted)
	case v == nil:
		return nil, nil, errNoViewer
	default:
		vs.muted[v.who.ID] = true
		vs.closeToken(v)
		delete(vs.granted, v.who.ID)
		list = vs.sameNode(v.who.ID)
	}
	for _, v := range list {
		switch {
		case !v.typist.muted.Load():
			v.typist.muted.Store(true)
			muted = append(muted, v.typist)
			v.notice = "you may not type here any more"
		case v.asking:
			v.notice = "the sharer does not let you type"
		}
		v.asking = false
	}
	return v, muted, nil
}
