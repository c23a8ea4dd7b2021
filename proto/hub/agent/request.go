package agent

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// comeBack is how long a listener may take to come back to a hub, repeatPause the time
// between two requests for it.
const (
	comeBack    = hub.AnswerTimeout
	repeatPause = time.Second
)

// Ask says which session to ask for.
type Ask struct {
	// To is a name or a node id.
	To   string
	Kind hub.Kind
	Want proto.Caps
	// Judge decides whether the node that the hub names is the peer that is meant. It
	// runs before anything of the answer is believed, and may ask a person.
	Judge func(ctx context.Context, c Claim) error
	// Pending, if it is set, is called when a person at the peer is asked.
	Pending func()
	// Bearer, if it is set, returns the bearer of a request for a session. To is a node id
	// then, and each instance of that node is asked.
	Bearer func(session hub.ID) *hub.Bearer
	// Within, if it is above 0, limits the time until the hub has taken the request.
	Within time.Duration
}

// Claim is what a hub says about a peer. Only the vouchers can be checked.
type Claim struct {
	Peer     identity.ID
	Name     string
	Hub      identity.ID
	Vouchers []string
}

// Session is what a listener has granted.
type Session struct {
	ID    hub.ID
	Peer  identity.ID
	Name  string
	Kind  hub.Kind
	Grant hub.Grant
	Keys  *hub.Keys
	Hub   identity.ID
	// Relays are the doors of a relay that the hub offers for the link, with the permits
	// of this node.
	Relays []hub.Relay
	// Updates exchanges the candidates of the two ends from now on; nil for a session of
	// kind [hub.KindPair]. The listener's first list is in Grant.
	Updates *Updates

	// Of a session of kind [hub.KindPair]: see [Agent.Pair].
	role   string
	events <-chan hub.Event
	conn   *Conn // at whose hub the session is known
	remake func(ctx context.Context, c *Conn) error
}

// making is a session that has no outcome yet.
type making struct {
	request hub.Request
	on      *Conn          // the first connection on which it is sent
	outcome chan hub.Event // buffered
	over    chan struct{}  // closed when nobody waits for the outcome any more
	asked   chan struct{}  // closed once a person is asked
	once    sync.Once      // closes it
	pending func()
}

// Request asks for a session and waits for the outcome. The signature of the answer is
// checked with the key of the node that judge has accepted.
func (a *Agent) Request(ctx context.Context, ask Ask) (s Session, err error) {
	key, err := hub.NewSealKey()
	if err != nil {
		return Session{}, err
	}
	asking, cancel := ctx, func() {}
	if ask.Within > 0 {
		asking, cancel = context.WithTimeoutCause(ctx, ask.Within, a.late())
	}
	defer cancel()
	c, err := a.awaitConn(asking, false, true)
	if err != nil {
		return Session{}, err
	}
	m := &making{on: c, outcome: make(chan hub.Event, 1), over: make(chan struct{}), asked: make(chan struct{}), pending: ask.Pending}
	m.request = hub.Request{Session: hub.NewID(), To: ask.To, Kind: ask.Kind, Want: ask.Want.String(), Seal: key.Public()}
	if a.o.Vouchers != nil {
		m.request.Vouchers = a.o.Vouchers(c.Hub)
	}
	if ask.Bearer != nil {
		m.request.Bearer = ask.Bearer(m.request.Session)
	}
	m.request.Sign(a.o.Key, c.Hub)
	if !a.begin(m) {
		return Session{}, proto.Errorf(proto.Busy, "%d sessions are in the making", hub.MaxMaking)
	}
	defer a.forget(m)
	updates := a.openUpdates(updatesKey{session: m.request.Session, role: hub.RoleDialer})
	defer func() {
		if err != nil {
			updates.Close()
		}
	}()
	if _, err := c.Call(asking, hub.TypeRequest, &m.request); err != nil {
		if _, refused := asHubError(err); refused {
			return Session{}, err
		}
		if asking.Err() != nil { // a hub that is slow must not ask the peer when others do
			a.cancelRequest(ctx, m)
			return Session{}, err
		}
		if !c.welcomed.Load() {
			if _, err := a.ready(asking, false); err != nil {
				return Session{}, err
			}
		} // the request is repeated on the next connection
	}
	e, err := a.await(ctx, m)
	if err != nil {
		return Session{}, err
	}
	if s, err = a.open(ctx, ask, m, key, c.Hub, e); err == nil {
		s.dials(updates, c, func(ctx context.Context, c *Conn) error {
			_, err := c.Call(ctx, hub.TypeRequest, &m.request)
			return err
		})
	}
	return s, err
}

// dials says which Updates belong to a session of this dialer, at which connection it was
// made, and how it is made again at a hub that was restarted.
func (s *Session) dials(u *Updates, at *Conn, again func(ctx context.Context, c *Conn) error) {
	s.Updates = u
	u.setKeys(s.Keys)
	u.begin(at, again)
}

func (a *Agent) begin(m *making) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.making) >= hub.MaxMaking {
		return false
	}
	a.making[m.request.Session] = m
	return true
}

func (a *Agent) forget(m *making) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.making, m.request.Session)
	close(m.over)
}

// await waits for created or declined. When ctx ends, it takes the request back.
func (a *Agent) await(ctx context.Context, m *making) (hub.Event, error) {
	limit := time.NewTimer(a.outcomeIn)
	defer limit.Stop()
	asked := m.asked
	for waits := true; waits; {
		select {
		case e := <-m.outcome:
			return e, nil
		case <-asked:
			asked = nil
			limit.Reset(a.outcomeIn + hub.PendingTimeout)
		case <-limit.C:
			a.cancelRequest(ctx, m)
			return hub.Event{}, proto.Errorf(proto.Unreachable, "hub %s: no answer to the request", a.o.URL.Name())
		case <-ctx.Done():
			waits = false
		}
	}
	a.cancelRequest(ctx, m)
	return hub.Event{}, context.Cause(ctx)
}

// cancelRequest takes a request back, if the hub can be reached.
func (a *Agent) cancelRequest(ctx context.Context, m *making) {
	a.mu.Lock()
	c := cmp.Or(a.conn, a.greeted)
	a.mu.Unlock()
	if c != nil {
		_ = c.write(context.WithoutCancel(ctx), hub.TypeCancel, "", &hub.SessionRef{Session: m.request.Session})
	}
}

// repeatRequests sends the requests without outcome again, byte for byte: a hub that was
// restarted knows nothing of them. Those that were sent on c itself are left out.
func (a *Agent) repeatRequests(ctx context.Context, c *Conn) {
	a.mu.Lock()
	var open []*making
	for _, m := range a.making {
		if m.on != c {
			open = append(open, m)
		}
	}
	a.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, m := range open {
		wg.Go(func() { a.repeat(ctx, c, m) })
	}
}

// repeat sends a request again. The listener may need longer than this node to come back
// to a hub that was restarted, so its absence is no outcome yet.
func (a *Agent) repeat(ctx context.Context, c *Conn, m *making) {
	for end := time.Now().Add(comeBack); ; {
		_, err := c.Call(ctx, hub.TypeRequest, &m.request)
		if err == nil {
			return
		}
		if code := CodeOf(err); time.Now().After(end) || code != hub.CodeOffline && code != hub.CodeNotFound {
			a.fail(m, err)
			return
		}
		select {
		case <-time.After(repeatPause):
		case <-m.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// fail gives a session the hub's error as its outcome.
func (a *Agent) fail(m *making, err error) {
	h, ok := asHubError(err)
	if !ok {
		return // the connection is lost again
	}
	e, err := hub.New(hub.TypeDeclined, &hub.Declined{Session: m.request.Session, Code: h.Answer.Code})
	if err == nil {
		m.tell(e)
	}
}

// tell sets the outcome; the first one stays.
func (m *making) tell(e hub.Event) {
	select {
	case m.outcome <- e:
	default:
	}
}

// tellPending says that a person is asked, once.
func (m *making) tellPending() {
	m.once.Do(func() {
		close(m.asked)
		if m.pending != nil {
			m.pending()
		}
	})
}

// outcome passes the outcome of a session on to the caller that waits for it.
func (a *Agent) outcome(e hub.Event) {
	var id hub.ID
	var c hub.Created
	var d hub.Declined
	var p hub.SessionRef
	switch {
	case e.Type == hub.TypeCreated && e.Read(&c) == nil:
		if !a.toBox(c.Session, e) && c.Role == hub.RoleDialer {
			id = c.Session
		}
	case e.Type == hub.TypeDeclined && e.Read(&d) == nil:
		id = d.Session
	case e.Type == hub.TypePending && e.Read(&p) == nil:
		id = p.Session
	}
	a.mu.Lock()
	m := a.making[id]
	a.mu.Unlock()
	switch {
	case m == nil: // of no session of this node
	case e.Type != hub.TypePending:
		m.tell(e)
	default:
		m.tellPending()
	}
}

// open opens the answer to a request.
func (a *Agent) open(ctx context.Context, ask Ask, m *making, key *hub.SealKey, hubID identity.ID, e hub.Event) (Session, error) {
	var d hub.Declined
	if e.Type == hub.TypeDeclined {
		if err := e.Read(&d); err != nil {
			return Session{}, &proto.Error{Code: proto.Protocol, Err: err}
		}
		return Session{}, &proto.Error{Code: ExitCode(d.Code), Err: &Error{hub.Error{Code: d.Code, RetryAfterS: d.RetryAfterS}}}
	}
	var c hub.Created
	if err := e.Read(&c); err != nil {
		return Session{}, &proto.Error{Code: proto.Protocol, Err: err}
	}
	if err := ask.Judge(ctx, Claim{c.Peer, c.Name, hubID, c.Vouchers}); err != nil {
		return Session{}, err
	}
	g, keys, err := m.request.Open(key, hubID, a.o.Key.ID(), c.Peer, &c)
	if err != nil {
		return Session{}, err
	}
	return Session{ID: c.Session, Peer: c.Peer, Name: c.Name, Kind: ask.Kind, Grant: g, Keys: keys, Hub: hubID, Relays: c.Relay}, nil
}

// Closed tells the hub that the session is over, so that its place is free. It ends the
// session's Updates.
func (a *Agent) Closed(ctx context.Context, s Session, reason, path string) {
	if s.Updates != nil {
		s.Updates.Close()
	}
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if c != nil {
		_ = c.write(ctx, hub.TypeClosed, "", &hub.Closed{Session: s.ID, Reason: reason, Path: path})
	}
}

func asHubError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
