package agent

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

const (
	// updateAgain is the pause before a list is sent again that the hub could not pass on.
	updateAgain = 5 * time.Second
	// updateEvery is the least time between two lists of one end, in either direction. An
	// end may send updateBurst lists at that rate, and then one each updateRefill.
	updateEvery  = time.Second
	updateRefill = time.Minute
	updateBurst  = 64
	// remakeEvery is the time between two tries to make a session again at a hub that was
	// restarted, remakeFor that until it is given up.
	remakeEvery = time.Second
	remakeFor   = lingerFor
	// maxUpdates bounds the sessions of one agent whose lists are exchanged at a time.
	maxUpdates = 1024
)

// Update is a list of candidates that the other end of a session has sent. A newer list
// replaces the older ones. The candidates are claims: check each before anything is sent
// to it.
type Update struct {
	Gen        uint32
	NAT        string
	Candidates []candidate.Candidate
}

// Updates exchanges the lists of candidates of a session, in both directions, while the hub
// knows the session: at most [hub.SessionLife]. At a hub that was restarted the dialer makes
// the session once more. The hub can hold lists back, but neither
// read nor forge them. The methods are safe for concurrent use.
type Updates struct {
	a       *Agent
	key     updatesKey
	ctx     context.Context
	cancel  context.CancelFunc
	created chan struct{}                            // closed when the hub has made the session
	heard   chan Update                              // holds the newest
	news    chan struct{}                            // told has changed
	mail    chan struct{}                            // came is one that was not heard
	remade  chan struct{}                            // the hub says that it has made the session
	again   func(ctx context.Context, c *Conn) error // makes it again; nil for a listener

	mu    sync.Mutex
	begun bool  // created is closed
	at    *Conn // at whose hub the session was made
	keys  *hub.Keys
	told  *hub.Meeting    // the newest list of this end, until it is sealed
	came  Update          // the newest list of the other end
	early *hub.Candidates // came before the keys were there
}

// updatesKey names a session among those of an agent. A dialer chooses the id of its session,
// so a listener knows the session by the dialer too. The other end is zero for a dialer.
type updatesKey struct {
	session hub.ID
	role    string
	dialer  identity.ID
}

// Updates exchanges candidates with the dialer of the offer. Keys are those of the accept.
// Call Updates before the answer to the offer is returned: the dialer may send its list as
// soon as it has the answer. Later calls return the same Updates.
func (o Offer) Updates(keys *hub.Keys) *Updates {
	u := o.agent.openUpdates(updatesKey{keys.Session, hub.RoleListener, o.From})
	u.setKeys(keys)
	return u
}

// openUpdates returns the Updates of a session, new ones the first time. Lists that come are
// kept from now on. They end with [Updates.Close], and when the agent stops.
func (a *Agent) openUpdates(key updatesKey) *Updates {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.updates[key]; u != nil {
		return u
	}
	u := &Updates{a: a, key: key, created: make(chan struct{}), heard: make(chan Update, 1), news: make(chan struct{}, 1), mail: make(chan struct{}, 1), remade: make(chan struct{}, 1)}
	u.ctx, u.cancel = context.WithTimeout(context.Background(), hub.SessionLife)
	if a.stopped || len(a.updates) >= maxUpdates {
		u.cancel()
		close(u.heard)
		return u
	}
	a.updates[key] = u
	a.updating.Go(func() {
		u.run()
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.updates, key)
	})
	return u
}

// stopUpdates ends all Updates, and makes no more.
func (a *Agent) stopUpdates() {
	a.mu.Lock()
	a.stopped = true
	for _, u := range a.updates {
		u.cancel()
	}
	a.mu.Unlock()
	a.updating.Wait()
}

// setKeys sets the keys of the session, once.
func (u *Updates) setKeys(keys *hub.Keys) {
	u.mu.Lock()
	if u.keys != nil {
		u.mu.Unlock()
		return
	}
	u.keys = keys
	early := u.early
	u.early = nil
	u.mu.Unlock()
	if early != nil {
		u.take(early)
	}
}

// begin says that the hub at the other end of a connection has made the session. A dialer
// has its keys by then, and says how to make it again.
func (u *Updates) begin(at *Conn, again func(ctx context.Context, c *Conn) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.begun && u.keys != nil {
		u.begun, u.at, u.again = true, at, again
		close(u.created)
	}
}

// Tell sends a list to the other end, in place of those before. It does not block. The list
// is sent again while the other end is away, and after each login of this node.
func (u *Updates) Tell(m hub.Meeting) {
	u.mu.Lock()
	u.told = &m
	u.mu.Unlock()
	signal(u.news)
}

// Heard returns the channel of the lists of the other end. It holds the newest one only. It
// is closed when the session is over and when the agent stops.
func (u *Updates) Heard() <-chan Update { return u.heard }

// Close ends the exchange. It does not end the session at the hub: [Agent.Closed] does.
func (u *Updates) Close() { u.cancel() }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (u *Updates) run() {
	defer close(u.heard)
	defer u.cancel()
	select {
	case <-u.created:
	case <-u.ctx.Done():
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer u.cancel()
		u.send()
	})
	u.hear()
}

// send sends what this end tells, until the session is over.
func (u *Updates) send() {
	var sealed *hub.Candidates
	var over *Conn // has taken sealed
	at := u.at     // at whose hub the session is known
	var giveUp <-chan time.Time
	pace := newPace()
	for gen := uint64(1); ; {
		if u.isTold() {
			if !pace.wait(u.ctx) {
				return
			}
			next, err := u.seal(gen)
			if err != nil {
				u.a.o.Log.Info("candidates are not sent", "err", err)
				continue
			}
			gen, sealed, over = gen+1, next, nil
		}
		c, change := u.a.current()
		var again <-chan time.Time
		if sealed != nil && c != nil && c != over {
			_, err := c.Call(u.ctx, hub.TypeCandidates, sealed)
			switch {
			case err == nil:
				at, over, giveUp = c, c, nil
			case CodeOf(err) == hub.CodeNotFound:
				if giveUp == nil {
					giveUp = time.After(remakeFor)
				}
				if c == at || !u.remake(c, giveUp) {
					return
				}
				continue
			default:
				again = time.After(updateAgain)
			}
		}
		select {
		case <-u.news:
		case <-change:
		case <-again:
		case <-u.ctx.Done():
			return
		}
	}
}

// remake makes the session again at a hub that was restarted. A listener waits for its dialer
// to do so. It returns false if that has not come about before giveUp.
func (u *Updates) remake(c *Conn, giveUp <-chan time.Time) bool {
	every := time.NewTicker(remakeEvery)
	defer every.Stop()
	for {
		if u.again != nil {
			if err := u.again(u.ctx, c); err != nil {
				u.a.o.Log.Info("the session is not made again yet", "err", err)
			}
		}
		select {
		case <-u.remade:
			return true
		case <-c.done: // the next connection decides
			return true
		case <-every.C:
		case <-giveUp:
			return false
		case <-u.ctx.Done():
			return false
		}
	}
}

func (u *Updates) isTold() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.told != nil
}

// seal seals the newest list, which is then no longer told.
func (u *Updates) seal(gen uint64) (*hub.Candidates, error) {
	u.mu.Lock()
	m := u.told
	u.told = nil
	u.mu.Unlock()
	return u.keys.SealMeeting(u.key.role, gen, *m)
}

// hear passes on what comes, until the exchange ends.
func (u *Updates) hear() {
	pace := newPace()
	for {
		select {
		case <-u.mail:
		case <-u.ctx.Done():
			return
		}
		if !pace.wait(u.ctx) {
			return
		}
		select { // nobody else sends
		case <-u.heard:
		default:
		}
		u.heard <- u.takeNewest()
	}
}

func (u *Updates) takeNewest() Update {
	u.mu.Lock()
	defer u.mu.Unlock()
	select { // the signal of a list that came while the one before waited
	case <-u.mail:
	default:
	}
	return u.came
}

// take opens a list. One that is forged, malformed or not above the newest is dropped. A
// dialer that has no keys yet keeps the last one.
func (u *Updates) take(c *hub.Candidates) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.early = c
		return
	}
	if c.Gen <= uint64(u.came.Gen) || c.Gen > math.MaxUint32 {
		return
	}
	other := hub.RoleDialer
	if u.key.role == hub.RoleDialer {
		other = hub.RoleListener
	}
	m, err := u.keys.OpenMeeting(other, c)
	if err != nil {
		u.a.o.Log.Info("candidates of a session are dropped", "err", err)
		return
	}
	u.came = newUpdate(uint32(c.Gen), m)
	signal(u.mail)
}

// newUpdate leaves out relays, which are the hub's to name, and what a peer found by checks.
func newUpdate(gen uint32, m hub.Meeting) Update {
	got := Update{Gen: gen, NAT: m.NAT}
	for _, c := range m.Candidates {
		if c.Type != candidate.Relay && c.Type != candidate.PeerReflexive {
			got.Candidates = append(got.Candidates, candidate.Candidate(c))
		}
	}
	return got
}

// update passes what the hub says of a session on to its Updates, if there are any.
func (a *Agent) update(e hub.Event) {
	var list hub.Candidates
	var created hub.Created
	var closed hub.Closed
	switch {
	case e.Type == hub.TypeCandidates && e.Read(&list) == nil:
		if u := a.updatesOf(list.Session, e.From); u != nil {
			u.take(&list)
		}
	case e.Type == hub.TypeCreated && e.Read(&created) == nil:
		u := a.updatesOf(created.Session, created.Peer)
		if u == nil {
			return
		}
		if created.Role == hub.RoleListener {
			c, _ := a.current()
			u.begin(c, nil)
		}
		signal(u.remade)
	case e.Type == hub.TypeClosed && e.Read(&closed) == nil:
		if u := a.updatesOf(closed.Session, e.From); u != nil {
			u.Close()
		}
	}
}

// updatesOf returns the Updates of a session with a peer; nil if there are none.
func (a *Agent) updatesOf(session hub.ID, peer identity.ID) *Updates {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.updates[updatesKey{session: session, role: hub.RoleDialer}]; u != nil {
		return u
	}
	return a.updates[updatesKey{session, hub.RoleListener, peer}]
}

// pace limits lists to the rate of one end.
type pace struct{ every, all *rate.Limiter }

func newPace() pace {
	return pace{rate.NewLimiter(rate.Every(updateEvery), 1), rate.NewLimiter(rate.Every(updateRefill), updateBurst)}
}

// wait blocks until the next list may pass. It is false when ctx ends first.
func (p pace) wait(ctx context.Context) bool {
	return p.every.Wait(ctx) == nil && p.all.Wait(ctx) == nil
}

// STUN returns the STUN servers that the hub of the session names: see [Agent.STUN].
func (u *Updates) STUN() []string { return u.a.STUN() }
