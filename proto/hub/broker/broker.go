package broker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// Out is where a connection's events go. Neither method blocks, nor calls the Broker: it
// holds its lock.
type Out interface {
	// Send queues an event. A queue that is full closes the connection.
	Send(e hub.Event)
	// Close closes the connection with a WebSocket close code, after what is queued.
	Close(code int, reason string)
}

// Options are the settings of a Broker.
type Options struct {
	// Hub is the hub's own id.
	Hub identity.ID
	// APIKey makes and checks API tokens: the hub's key and [hub.APIKeyLabel] give it.
	// Without one there are none.
	APIKey []byte
	// Now is the clock; nil stands for [time.Now].
	Now func() time.Time
	// Guests lets nodes that are no members claim codes.
	Guests bool
	// RoomsOnly hides a node from those that share no room with it.
	RoomsOnly bool
	// Revoked reports whether the voucher with the id is revoked; nil stands for none.
	// It must not call the Broker. Revoke revokes one; nil stands for what always fails.
	Revoked func(id token.ID) bool
	Revoke  func(id token.ID) error
	// SignJoined signs that a node has joined with an invite until a date, whose key is
	// seed: [hub.SignJoined]. Without it, vouchers in invites are worth nothing.
	SignJoined func(seed, node identity.ID, until time.Time) *hub.Joined
	// Relays returns the relay of a new session between two members, or nil if there is
	// none. It must neither block nor call the Broker. Nil stands for no relays.
	Relays func(session hub.ID, dialer, listener identity.ID) Relay
	// Doors returns the doors of all relays, without permits, for a member that has logged
	// in at the origin; at most [hub.MaxRelays]. It must neither block nor call the Broker.
	// Nil stands for none.
	Doors func(origin string) []hub.Relay
	// STUN returns the STUN servers, HOST:PORT each, for a node that has logged in at the
	// origin; at most [hub.MaxRelays]. It must neither block nor call the Broker. Nil stands
	// for none.
	STUN func(origin string) []string
	// Meter, if it is set, counts what happens.
	Meter Meter
	// Log is called for each refused login and each removal, if it is set. It must not
	// call the Broker.
	Log func(message string, args ...any)
}

// Broker is a hub. Its methods may be called at the same time.
type Broker struct {
	o     Options
	store Store

	// changing orders the changes of facts: it is held while they are written. It is
	// taken before mu, which is never held while the store writes.
	changing sync.Mutex

	mu       sync.Mutex
	facts    *facts
	access   Access
	admitted map[identity.ID]admission
	clients  map[party]*client
	nodes    map[identity.ID][]*client // the newest last
	sessions map[hub.ID]*session
	dialing  map[identity.ID]int // open sessions of a node
	serving  map[identity.ID]int
	queues   map[identity.ID]*queue
	watchers map[identity.ID]map[*client]hub.Kind
	rooms    map[string]*room
	changed  map[*room]bool // rooms whose watchers are to be told something
	tellAt   time.Time      // when; no earlier
	codes    codes
	guests   guests
	timers   timers
	outbox   []sending
	touched  map[string]bool
	lastLook time.Time
	counter  uint64
	draining bool
	started  time.Time

	// sessionsOf has the sessions of each party that is their dialer or may answer them.
	sessionsOf map[party]map[*session]bool

	requests buckets[identity.ID]
	newNames buckets[identity.ID]
	failed   buckets[netip.Prefix]
	apiCalls buckets[string]
	blocked  map[netip.Prefix]time.Time
}

// party is one instance of a node: the sender or receiver of an event.
type party struct {
	node     identity.ID
	instance hub.ID
}

// sending is an event that goes out after the answer to the one that caused it.
type sending struct {
	to *client
	e  hub.Event
}

// New returns a hub with the facts of the store.
func New(store Store, o Options) (*Broker, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Revoked == nil {
		o.Revoked = func(token.ID) bool { return false }
	}
	if o.Revoke == nil {
		o.Revoke = func(token.ID) error { return errors.New("this hub keeps no list") }
	}
	b := &Broker{
		o: o, store: store, facts: newFacts(), admitted: map[identity.ID]admission{},
		clients: map[party]*client{}, nodes: map[identity.ID][]*client{}, sessions: map[hub.ID]*session{},
		dialing: map[identity.ID]int{}, serving: map[identity.ID]int{}, queues: map[identity.ID]*queue{},
		watchers: map[identity.ID]map[*client]hub.Kind{}, codes: newCodes(), guests: guests{of: map[netip.Prefix]int{}}, rooms: map[string]*room{}, changed: map[*room]bool{}, touched: map[string]bool{}, lastLook: o.Now(), started: o.Now(),
		requests: newBuckets[identity.ID](requestRate), newNames: newBuckets[identity.ID](newNameRate),
		failed: newBuckets[netip.Prefix](failedRate), apiCalls: newBuckets[string](apiRate), blocked: map[netip.Prefix]time.Time{},
	}
	b.sessionsOf = map[party]map[*session]bool{}
	all, err := store.Load()
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if err := b.facts.add(f); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// errUnchanged ends a change that has nothing to change.
var errUnchanged = errors.New("nothing to change")

// change makes one change of facts. The function decide runs with the lock held; it
// returns the entry of the log, what to store (nothing for what is memory only), and an
// error if the change may not be made. Then done runs with the lock held, after
// everything is on disk.
func (b *Broker) change(decide func() (Entry, []Fact, error), done func()) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	b.mu.Lock()
	e, facts, err := decide()
	b.mu.Unlock()
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(facts) > 0 {
		e.At = b.o.Now().UTC()
		err := b.store.Write(e, facts...)
		b.took(TookCommit, b.o.Now().Sub(e.At))
		if err != nil {
			return &Refusal{hub.CodeInternal, fmt.Errorf("the hub can't store it: %w", err)}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	done()
	b.flush()
	return nil
}

// Refusal is an error with the code of system.error.
type Refusal struct {
	Code string
	Err  error
}

// Error returns the text, for a person.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(code, format string, args ...any) error {
	return &Refusal{code, fmt.Errorf(format, args...)}
}

// send queues an event for a client; a nil client is one that is gone.
func (b *Broker) send(to *client, typ string, from *client, data hub.Data) {
	if to == nil {
		return
	}
	e, err := hub.New(typ, data)
	if err != nil {
		b.log("event is not sent", "type", typ, "err", err)
		return
	}
	if from != nil {
		e.From, e.Name = from.node, b.nameOf(from)
	}
	b.outbox = append(b.outbox, sending{to, e})
}

// flush sends what is queued, the answer to the event that caused it being sent.
func (b *Broker) flush() {
	for i := 0; i < len(b.outbox); i++ {
		b.outbox[i].to.deliver(b.outbox[i].e)
	}
	clear(b.outbox)
	b.outbox = b.outbox[:0]
}

func (b *Broker) log(message string, args ...any) {
	if b.o.Log != nil {
		b.o.Log(message, args...)
	}
}

// Sweep does what is due: time limits, waiting requests, silent connections, and the
// times at which names were last online.
func (b *Broker) Sweep() {
	b.mu.Lock()
	now := b.o.Now()
	b.timers.run(now)
	for node, q := range b.queues {
		b.serveQueue(node, q, now)
	}
	if now.Sub(b.lastLook) >= LostEvery {
		b.look(now)
	}
	b.tellRooms(now)
	b.flush()
	b.mu.Unlock()
	b.writeTouched()
}

// look closes the connections that are silent, and forgets rates that are used up by
// nobody.
func (b *Broker) look(now time.Time) {
	late := now.Sub(b.lastLook) > LostEvery+LateSweep
	b.lastLook = now
	for _, c := range b.clients {
		if late {
			c.seen = now
		}
		if c.out != nil && now.Sub(c.seen) > hub.LostAfter {
			c.out.Close(hub.CloseGoingAway, "no ping")
			b.lose(c, now)
		}
	}
	b.requests.sweep(now)
	b.newNames.sweep(now)
	b.failed.sweep(now)
	b.codes.opens.sweep(now)
	b.codes.claims.sweep(now)
	b.apiCalls.sweep(now)
	for source, until := range b.blocked {
		if !now.Before(until) {
			delete(b.blocked, source)
		}
	}
}

// Drain tells all clients to go, and closes their connections evenly over the time d.
// The hub takes no more logins.
func (b *Broker) Drain(d time.Duration, hubs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
	now, i, n := b.o.Now(), 0, len(b.clients)
	for _, c := range b.sorted() {
		b.send(c, hub.TypeGoAway, nil, &hub.GoAway{SpreadS: uint32(d.Seconds()), Hubs: hubs})
		b.timers.at(now.Add(d*time.Duration(i)/time.Duration(n)), func(time.Time) {
			if c.out != nil {
				c.out.Close(hub.CloseRestart, "the hub restarts")
			}
		})
		i++
	}
	b.flush()
}

// sorted returns the clients, the oldest first.
func (b *Broker) sorted() []*client {
	var all []*client
	for _, c := range b.clients {
		all = append(all, c)
	}
	slices.SortFunc(all, func(x, y *client) int { return cmp.Compare(x.order, y.order) })
	return all
}
