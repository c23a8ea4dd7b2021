package broker

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// client is one instance of a node that is logged in, or was until [hub.Grace] ago. It
// outlives a connection: the same instance continues it on the next one.
type client struct {
	party
	// out is nil while there is no connection; held waits for the next one.
	out  Out
	held []hub.Event
	// conn counts the connections, so that an old one is known.
	conn   int
	source netip.Prefix
	origin string // of the hub, as the login has it
	since  time.Time
	seen   time.Time
	order  uint64
	// kinds are what the connection takes, by name or by id.
	kinds []hub.Kind
	// vouchers are those about the node that its last hello had.
	vouchers []string
	names    []*name
	watches  map[identity.ID]hub.Kind
	rooms    map[string]bool
	guest    bool

	events, pings, lookups bucket
	refused                int
}

func (c *client) deliver(e hub.Event) {
	switch {
	case c.out != nil:
		c.out.Send(e)
	case len(c.held) < MaxHeld:
		c.held = append(c.held, e)
	}
}

// Conn is a connection that is logged in.
type Conn struct {
	b *Broker
	c *client
	n int
}

// current reports whether no other connection has replaced this one.
func (k *Conn) current() bool { return k.c.conn == k.n && k.c.out != nil }

// Ping notes that the client is alive.
func (k *Conn) Ping() {
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	if !k.current() {
		return
	}
	now := k.b.o.Now()
	k.c.seen = now
	if !k.c.pings.take(now, pingRate) {
		k.b.within(k.c, now)
	}
}

// Lost says that the connection broke. The instance stays online for [hub.Grace].
func (k *Conn) Lost() {
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	if k.current() {
		k.b.lose(k.c, k.b.o.Now())
	}
	k.b.flush()
}

// Left says that the client closed the connection itself. Its requests end; links that
// its sessions brought need no hub.
func (k *Conn) Left() {
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	if k.current() {
		k.b.endDialed(k.c)
		k.b.remove(k.c, k.b.o.Now(), hub.ReasonLeave)
	}
	k.b.flush()
}

// lose leaves the client without a connection, and removes it after the grace.
func (b *Broker) lose(c *client, now time.Time) {
	c.out = nil
	was := c.conn
	b.timers.at(now.Add(hub.Grace), func(now time.Time) {
		if c.conn == was && c.out == nil {
			b.remove(c, now, hub.ReasonLost)
		}
	})
}

// remove forgets a client: its names, its watches, its rooms, and the requests that wait
// for it. Reason is what the watchers of its rooms are told.
func (b *Broker) remove(c *client, now time.Time, reason string) {
	if b.clients[c.party] != c {
		return
	}
	c.out, c.held = nil, nil
	c.conn++
	delete(b.clients, c.party)
	rest := slices.DeleteFunc(b.nodes[c.node], func(o *client) bool { return o == c })
	if b.nodes[c.node] = rest; len(rest) == 0 {
		delete(b.nodes, c.node)
	}
	for _, n := range c.names {
		b.drop(n, c, now)
	}
	for node := range c.watches {
		b.unwatch(c, node)
	}
	for room := range c.rooms {
		b.dropRoom(c, room, reason)
	}
	b.leaveCodes(c, now)
	b.leaveGuest(c)
	b.orphan(c)
}

func (b *Broker) unwatch(c *client, node identity.ID) {
	delete(c.watches, node)
	if delete(b.watchers[node], c); len(b.watchers[node]) == 0 {
		delete(b.watchers, node)
	}
}

// within reports whether the client keeps to the rate of events, and closes its
// connection if it goes on and on.
func (b *Broker) within(c *client, now time.Time) bool {
	if c.events.take(now, eventRate) {
		c.refused = max(c.refused-1, 0)
		return true
	}
	if c.refused++; c.refused >= MaxRefused && c.out != nil {
		c.out.Close(hub.CloseTooSlow, "too many events")
		b.lose(c, now)
	}
	return false
}

// Handle takes an event of the client, and answers it if it has an id.
func (k *Conn) Handle(e hub.Event) {
	b, c := k.b, k.c
	b.mu.Lock()
	if !k.current() {
		b.mu.Unlock()
		return
	}
	now := b.o.Now()
	c.seen = now
	b.count(CountEvents, wordOf(clientTypes, e.Type))
	if !b.within(c, now) {
		wait := c.events.wait(eventRate)
		k.answer(e, hub.Event{}, &Refusal{hub.CodeRateLimited, errors.New("more than 20 events a second")}, wait)
		b.mu.Unlock()
		return
	}
	if c.guest && !guestEvents[e.Type] {
		k.answer(e, hub.Event{}, refuse(hub.CodeDenied, "a guest may only claim codes"), 0)
		b.mu.Unlock()
		return
	}
	if change := b.changeOf(e.Type); change != nil {
		b.mu.Unlock()
		answer, err := change(c, e)
		b.mu.Lock()
		defer b.mu.Unlock()
		k.answer(e, answer, err, 0)
		b.flush()
		return
	}
	defer b.mu.Unlock()
	answer, err := b.dispatch(c, e, now)
	if !errors.Is(err, errLater) {
		k.answer(e, answer, err, 0)
	}
	b.flush()
}

// dispatch handles the events that change no fact, but for requests. An answer without a type is
// system.ok.
func (b *Broker) dispatch(c *client, e hub.Event, now time.Time) (hub.Event, error) {
	ok := hub.Event{}
	switch e.Type {
	case hub.TypeLookup:
		return b.lookup(c, e, now)
	case hub.TypeWatch:
		return ok, b.watch(c, e)
	case hub.TypeRoomJoin:
		return b.joinRoom(c, e, now)
	case hub.TypeRoomLeave:
		return ok, b.leaveRoom(c, e)
	case hub.TypeRoomPeers:
		return b.listRoom(c, e, now)
	case hub.TypeRequest:
		return ok, b.request(c, e, now)
	case hub.TypePending:
		return ok, b.pending(c, e, now)
	case hub.TypeAccept:
		return ok, b.accept(c, e, now)
	case hub.TypeDecline:
		return ok, b.decline(c, e)
	case hub.TypeCancel:
		return ok, b.cancel(c, e)
	case hub.TypeCandidates:
		return ok, b.candidates(c, e, now)
	case hub.TypeClosed:
		return ok, b.closed(c, e)
	case hub.TypeCodeOpen:
		return b.openBox(c, e, now)
	case hub.TypeCodeClaim:
		return b.claim(c, e, now)
	case hub.TypeCodeConfirm:
		return ok, b.confirm(c, e, now)
	case hub.TypeCodeDone:
		return ok, b.done(c, e, now)
	case hub.TypeCodeBurn:
		return ok, b.burn(c, e, now)
	}
	switch e.Prefix() {
	case "system", "room", "p2p":
		return ok, refuse(hub.CodeUnsupported, "this hub does not know the event")
	}
	return ok, refuse(hub.CodeBadEvent, "this hub does not know the event")
}

// changeOf returns what handles events of a type that may change a fact, without the lock
// held; nil for other types.
func (b *Broker) changeOf(typ string) func(*client, hub.Event) (hub.Event, error) {
	switch typ {
	case hub.TypeRegister:
		return b.handleRegister
	case hub.TypeRelease:
		return b.handleRelease
	case hub.TypeToken:
		return b.makeToken
	}
	return nil
}

func (b *Broker) handleRegister(c *client, e hub.Event) (hub.Event, error) {
	var r hub.Register
	if err := read(e, &r); err != nil {
		return hub.Event{}, err
	}
	got := b.register(c, r)
	if got.Code != "" {
		return hub.New(hub.TypeError, &hub.Error{Code: got.Code, SinceS: got.SinceS, Owner: got.Owner})
	}
	return hub.New(hub.TypeRegistered, &got)
}

func (b *Broker) handleRelease(c *client, e hub.Event) (hub.Event, error) {
	var r hub.Release
	if err := read(e, &r); err != nil {
		return hub.Event{}, err
	}
	return hub.Event{}, b.releaseBy(c, r.Name)
}

// read reads the data of an event.
func read(e hub.Event, into hub.Data) error {
	err := e.Read(into)
	switch {
	case errors.Is(err, hub.ErrTooLarge):
		return &Refusal{hub.CodeTooLarge, err}
	case err != nil:
		return &Refusal{hub.CodeBadEvent, err}
	}
	return nil
}

// answer answers an event that has an id.
func (k *Conn) answer(to, answer hub.Event, err error, wait time.Duration) {
	if err != nil {
		answer = k.b.errorEvent(err, wait)
	}
	k.b.countError(to, answer, wait > 0)
	if answer.Type == "" {
		answer.Type = hub.TypeOK
	}
	if to.ID != "" && k.current() {
		answer.Ref = to.ID
		k.c.out.Send(answer)
	}
}

func (b *Broker) errorEvent(err error, wait time.Duration) hub.Event {
	code := hub.CodeInternal
	if r, ok := errors.AsType[*Refusal](err); ok {
		code = r.Code
	}
	text := err.Error()
	if len(text) > hub.MaxTextBytes {
		text = text[:hub.MaxTextBytes]
	}
	e, err := hub.New(hub.TypeError, &hub.Error{Code: code, Text: text, RetryAfterS: seconds(wait)})
	if err != nil {
		b.log("error is not told", "err", err)
		e, _ = hub.New(hub.TypeError, &hub.Error{Code: code}) // a code alone is valid
	}
	return e
}

// seconds rounds up.
func seconds(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d+time.Second-1)/time.Second, 1<<31))
}
