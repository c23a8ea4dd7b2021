package broker

import (
	"time"

	"mesh/proto/hub"
)

// The limits of one hub. Those that a client must know are in package hub.
const (
	// SweepEvery is the time between two calls of [Broker.Sweep], LostEvery that between
	// two looks for silent connections. A look that comes LateSweep too late itself gives
	// every client one more period.
	SweepEvery = 100 * time.Millisecond
	LostEvery  = 5 * time.Second
	LateSweep  = 10 * time.Second

	// MaxNodeConns bounds the connections of a node.
	MaxNodeConns = 16
	// MaxHeld bounds the events that wait for a client in the time of [hub.Grace].
	MaxHeld = 64

	// MaxMembers, MaxNames and MaxBans bound the facts, MaxFactBytes each of them.
	MaxMembers   = 100000
	MaxNames     = 100000
	MaxBans      = 10000
	MaxFactBytes = 4 << 10
	// MaxInvites bounds the open invites, MaxInviteUses the uses of one, MaxInviteLife
	// its life.
	MaxInvites = 100
	// MaxKeptInvites bounds them with those that are used up and carried a voucher.
	MaxKeptInvites = 10000
	MaxInviteUses  = 100
	MaxInviteLife  = 30 * 24 * time.Hour

	// MaxTokens bounds the lasting API tokens.
	MaxTokens = 1000

	// LastingFor is how long after it was last online a name is still told, and KeptFor
	// how much longer only its owner can take it. PassingFor is that time of a name that
	// is not lasting.
	LastingFor = 90 * 24 * time.Hour
	KeptFor    = 30 * 24 * time.Hour
	PassingFor = 60 * time.Second
	// TouchEvery is how often the hub writes when a lasting name was last online.
	TouchEvery = 24 * time.Hour

	// MaxWatches bounds the watches of a connection.
	MaxWatches = 16
	// MaxRooms bounds the rooms of the hub, MaxRoomMembers the nodes in a room and
	// MaxRoomWatchers the connections that watch it.
	MaxRooms        = 100000
	MaxRoomMembers  = 1000
	MaxRoomWatchers = 64
	// GatherFor is how long the changes of rooms are gathered, MaxTold how many of them a
	// watcher is told at a time: half of what may wait for a client.
	GatherFor = 100 * time.Millisecond
	MaxTold   = 32
	// MaxDialing and MaxListening bound the open sessions of a node in each role,
	// MaxSessions those of the hub.
	MaxDialing   = hub.MaxMaking
	MaxListening = 1024
	MaxSessions  = 100000
	// MaxWaiting bounds the requests that wait for one listener, above its rate. Those that
	// were cancelled count too until their turn.
	MaxWaiting = 1024
	// MaxRefused is how many more events may be over the rate than within it before the
	// connection is closed.
	MaxRefused = 100
	// MaxBuckets bounds the sources and nodes whose rates are counted.
	MaxBuckets = 65536
	// BlockFor is how long a source is refused after too many failed logins.
	BlockFor = 60 * time.Second
)

// rate is so many events a second, after a burst.
type rate struct{ perSecond, burst float64 }

// The rates.
var (
	eventRate     = rate{20, 60}         // events of a connection
	pingRate      = rate{2, 4}           // pings of a connection that do not count as events
	requestRate   = rate{5, 20}          // requests of a node
	offerRate     = rate{10, 30}         // requests that reach a listener
	lookupRate    = rate{10, 30}         // lookups of a connection
	newNameRate   = rate{10. / 3600, 10} // new names of a node
	openCodeRate  = rate{1, 20}          // new codes of a node
	claimRate     = rate{5. / 60, 5}     // claims of codes of a node and of a source
	claimHourRate = rate{30. / 3600, 30} // the same, in the long run
	candidateRate = rate{1. / 60, 64}    // generations of candidates of one end
	failedRate    = rate{5. / 60, 20}    // failed logins of a source
	apiRate       = rate{10, 40}         // requests with one lasting API token, or with all others of a node
)

// candidatesEvery is the least time between two generations of one end.
const candidatesEvery = time.Second

// Rate is how often something may happen, for people to read.
type Rate struct {
	What             string
	PerSecond, Burst float64
}

// Rates returns all rates.
func Rates() []Rate {
	say := func(what string, r rate) Rate { return Rate{what, r.perSecond, r.burst} }
	return []Rate{
		say("events of a connection", eventRate),
		say("pings of a connection that do not count as events", pingRate),
		say("requests of a node", requestRate),
		say("requests that reach a listener", offerRate),
		say("lookups of a connection", lookupRate),
		say("new names of a node", newNameRate),
		say("new codes of a node", openCodeRate),
		say("claims of codes of a node and of a source", claimRate),
		say("claims of codes in the long run", claimHourRate),
		say("lists of candidates of one end", candidateRate),
		say("failed logins of a source", failedRate),
		say("requests to the API with the API tokens of a node, or a lasting one", apiRate),
	}
}

// bucket counts against a rate. The zero bucket is full.
type bucket struct {
	used float64
	last time.Time
}

// take reports whether one more event is within the rate, and counts it if so.
func (b *bucket) take(now time.Time, r rate) bool {
	b.leak(now, r)
	if b.used+1 > r.burst {
		return false
	}
	b.used++
	return true
}

func (b *bucket) leak(now time.Time, r rate) {
	if d := now.Sub(b.last); d > 0 {
		b.used = max(0, b.used-d.Seconds()*r.perSecond)
		b.last = now
	}
}

// wait returns the time until one more event is within the rate.
func (b *bucket) wait(r rate) time.Duration {
	if over := b.used + 1 - r.burst; over > 0 {
		return time.Duration(over / r.perSecond * float64(time.Second))
	}
	return 0
}

// buckets counts a rate for each key. When it is full, a key that it does not know is
// refused.
type buckets[K comparable] struct {
	rate rate
	of   map[K]*bucket
}

func newBuckets[K comparable](r rate) buckets[K] { return buckets[K]{r, map[K]*bucket{}} }

func (b buckets[K]) take(now time.Time, key K) bool {
	one := b.of[key]
	if one == nil {
		if len(b.of) >= MaxBuckets {
			return false
		}
		one = &bucket{}
		b.of[key] = one
	}
	return one.take(now, b.rate)
}

// wait returns the time until one more event of the key is within the rate.
func (b buckets[K]) wait(key K) time.Duration {
	if one := b.of[key]; one != nil {
		return one.wait(b.rate)
	}
	return time.Duration(float64(time.Second) / b.rate.perSecond) // the map is full
}

// sweep forgets the keys that have used nothing.
func (b buckets[K]) sweep(now time.Time) {
	for key, one := range b.of {
		if one.leak(now, b.rate); one.used == 0 {
			delete(b.of, key)
		}
	}
}
