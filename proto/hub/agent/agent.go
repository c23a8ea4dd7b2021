package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
)

// The waits between two attempts to connect.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
	// upLong is how long a connection lasts before the next loss counts as the first.
	upLong = time.Minute
	// refusedPause is the wait after the hub has refused this node.
	refusedPause = 5 * time.Minute
	// slowTries is where the waits begin after the hub has closed for slowness.
	slowTries = 5
)

// Agent stays logged in at one hub while [Agent.Run] runs.
type Agent struct {
	o Options
	// Registers are announced, and Rooms joined, after each login.
	Registers []hub.Register
	Rooms     []string
	// Invited puts the name that the node's invite was made for in the place of a lasting
	// one.
	Invited bool
	// OnHeard, if it is set, is [Options.Heard].
	OnHeard func()
	// OnLogin, if it is set, is told each login before names are registered.
	OnLogin func(c *Conn)
	// OnRegistered, if it is set, is told the outcome for each name, after each login.
	OnRegistered func(r hub.Register, got hub.Registered)
	// OnJoined, if it is set, is told the outcome for each room, after each login: nil, or
	// what the hub answers.
	OnJoined func(room string, err error)
	// OnOffer, if it is set, decides about the request of another node.
	OnOffer func(ctx context.Context, o Offer) Answer
	// OnState, if it is set, is told each login (nil) and each loss.
	OnState func(err error)

	offers    offers
	outcomeIn time.Duration // how long a request waits for its outcome, unless a person is asked

	// announcing is held while names and rooms are announced. It guards Registers, Rooms,
	// Invited, and what of them the hub has taken.
	announcing sync.Mutex
	named      map[string]bool
	joined     map[string]bool

	mu      sync.Mutex
	conn    *Conn
	greeted *Conn         // it has sent the hello of a login that has not ended
	change  chan struct{} // closed at each change of conn and greeted
	last    error         // why conn is nil
	making  map[hub.ID]*making
	online  chan struct{} // closed at each system.online
	watches map[string]*roomWatch
	boxes   map[hub.ID]chan hub.Event
	away    time.Duration // what the hub's goaway asks to wait
	updates map[updatesKey]*Updates
	stopped bool // no Updates are made any more
	stun    []string
	// namesRelay says that the hub has named a relay.
	namesRelay bool

	updating sync.WaitGroup
}

// New returns an agent that does nothing yet.
func New(o Options) *Agent {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{
		o: o, outcomeIn: hub.AnswerTimeout + answerTimeout, change: make(chan struct{}), online: make(chan struct{}), making: make(map[hub.ID]*making),
		named: make(map[string]bool), joined: make(map[string]bool), watches: make(map[string]*roomWatch), boxes: make(map[hub.ID]chan hub.Event),
		updates: make(map[updatesKey]*Updates),
	}
}

// Run keeps the agent logged in until ctx ends. It returns when all its goroutines have
// ended.
func (a *Agent) Run(ctx context.Context) {
	defer a.stopUpdates()
	defer a.offers.wg.Wait()
	for tries := 0; ; {
		began, changed := time.Now(), a.o.nextChange()
		err := a.stay(ctx, changed)
		if errors.Is(err, errRenew) && ctx.Err() == nil {
			a.setConn(nil, nil)
			continue
		}
		a.setConn(nil, err)
		if ctx.Err() != nil {
			return
		}
		if a.OnState != nil {
			a.OnState(err)
		}
		if time.Since(began) >= upLong {
			tries = 0
		}
		code := closeCode(err)
		if code == hub.CloseReplaced {
			return
		}
		if code == hub.CloseTooSlow {
			tries = max(tries, slowTries)
		}
		wait := pause(tries, code, proto.CodeOf(err))
		if away := a.takeAway(); away > 0 {
			wait = away
		}
		tries++
		select {
		case <-time.After(wait):
		case <-changed: // the hub may be reached now
			tries = 0
		case <-ctx.Done():
			return
		}
	}
}

// pause returns the wait before the next attempt: a random part of a time that doubles,
// so that the nodes of a hub that was restarted do not come back together.
func pause(tries, closed int, code proto.Code) time.Duration {
	switch {
	case closed == hub.CloseBadLogin, closed == hub.CloseNoMember, closed == hub.CloseVersion, code == proto.Identity:
		return refusedPause
	case closed == hub.CloseBadEvent:
		return maxPause
	}
	return rand.N(min(maxPause, firstPause<<min(tries, 10))) + 1
}

// stay logs in, and handles events until the connection is lost. A change of this machine's
// network ends the login.
func (a *Agent) stay(ctx context.Context, changed <-chan struct{}) error {
	c, err := a.dialUntil(ctx, changed)
	if err != nil {
		return err
	}
	a.setServers(c.Welcome)
	a.o.Log.Info("logged in at the hub", "hub", a.o.URL.Name(), "observed", c.Welcome.Observed)
	if a.OnLogin != nil {
		a.OnLogin(c)
	}
	a.offers.begin(ctx, a, c)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { a.announce(ctx, c) })
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	if err := c.Run(context.WithoutCancel(ctx)); !c.renew.Load() {
		return err
	}
	return errRenew
}

// dialUntil is Dial, but the error is errRenew if the channel is closed before it ends.
func (a *Agent) dialUntil(ctx context.Context, changed <-chan struct{}) (*Conn, error) {
	dialing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-changed:
			cancel(errRenew)
		case <-dialing.Done():
		}
	}()
	o := a.o
	a.announcing.Lock()
	o.Heard = a.OnHeard
	if len(a.Registers)+len(a.Rooms) == 0 { // else these come first
		o.greeted = a.setGreeted
	}
	a.announcing.Unlock()
	c, err := Dial(dialing, o, a.event)
	if err != nil && errors.Is(context.Cause(dialing), errRenew) {
		return nil, errRenew
	}
	return c, err
}

// errRenew stands for the end of a connection that another one replaces at once.
var errRenew = errors.New("log in again")

func (a *Agent) setConn(c *Conn, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn, a.greeted, a.last = c, nil, err
	close(a.change)
	a.change = make(chan struct{})
}

func (a *Agent) setGreeted(c *Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.greeted = c
	close(a.change)
	a.change = make(chan struct{})
}

// current returns the connection, nil if there is none, and a channel that is closed at its
// next change.
func (a *Agent) current() (c *Conn, change <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn, a.change
}

// STUN returns the STUN servers that the hub has named at the last login, as HOST:PORT: at
// most [hub.MaxRelays], and none before the first login. They are the hub's word.
func (a *Agent) STUN() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.stun)
}

// NamesRelay reports whether the hub has named a relay at the last login. A session may get
// none all the same: see [Session.Relays].
func (a *Agent) NamesRelay() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.namesRelay
}

func (a *Agent) setServers(w hub.Welcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stun = w.STUN[:min(len(w.STUN), hub.MaxRelays)]
	a.namesRelay = len(w.Relay) > 0
}

// ready returns the connection, as soon as there is one. It fails when the hub cannot be
// reached, unless it is patient, and when ctx ends.
func (a *Agent) ready(ctx context.Context, patient bool) (*Conn, error) {
	return a.awaitConn(ctx, patient, false)
}

// awaitConn is ready. With early it takes a connection that has sent its hello too: what
// follows at once saves the round trip for which the hub's welcome is on its way, and the hub
// has proven its key.
func (a *Agent) awaitConn(ctx context.Context, patient, early bool) (*Conn, error) {
	for {
		a.mu.Lock()
		c, change, last := a.conn, a.change, a.last
		if c == nil && early {
			c = a.greeted
		}
		a.mu.Unlock()
		if c != nil {
			return c, nil
		}
		if last != nil && (!patient || proto.CodeOf(last) != proto.Unreachable && proto.CodeOf(last) != proto.Busy) {
			return nil, last
		}
		select {
		case <-change:
		case <-ctx.Done():
			if last != nil {
				return nil, last
			}
			return nil, a.late()
		}
	}
}

// takeAway returns the wait that the hub's goaway asks for, once.
func (a *Agent) takeAway() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.away
	a.away = 0
	return d
}

// event handles what the hub sends by itself.
func (a *Agent) event(e hub.Event) {
	a.update(e)
	switch e.Type {
	case hub.TypeOffer:
		a.offers.take(e)
	case hub.TypeCancelled:
		a.offers.cancel(e)
	case hub.TypeCreated, hub.TypeDeclined, hub.TypePending:
		a.outcome(e)
	case hub.TypeCodeClaimed, hub.TypeCodeFreed, hub.TypeCodeConfirm, hub.TypeCodeDone, hub.TypeCodeBurn, hub.TypeCandidates, hub.TypeClosed:
		a.boxEvent(e)
	case hub.TypeOnline:
		a.mu.Lock()
		close(a.online)
		a.online = make(chan struct{})
		a.mu.Unlock()
	case hub.TypeRoomJoined, hub.TypeRoomLeft:
		a.roomChanged(e)
	case hub.TypeGoAway:
		var g hub.GoAway
		if e.Read(&g) == nil {
			a.goAway(g)
		}
	}
}

func (a *Agent) goAway(g hub.GoAway) {
	after := min(time.Duration(g.AfterS)*time.Second, hub.MaxGoAwayAfter)
	spread := min(time.Duration(g.SpreadS)*time.Second, hub.MaxGoAwaySpread)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = after + rand.N(spread+1) + 1
}
