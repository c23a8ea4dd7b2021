package path

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/transport"
)

// Preference says which transport is better for the purpose, where the endpoint has
// both.
type Preference int

const (
	// Bulk prefers TCP on a near path, where processors are the limit and the
	// kernel's TCP needs less of them. On any other path the first connection wins:
	// QUIC needs one round trip less.
	Bulk Preference = iota
	// Interactive prefers QUIC: it follows the dialer to another address.
	Interactive
)

// MaxAddrs is the number of addresses that one [Dial] dials, maxRelays that of the
// routes through relays, and maxStreams that of the other routes; further ones are
// ignored.
const (
	MaxAddrs   = 16
	maxRelays  = 4
	maxStreams = 8
)

// The delays between the transports, as the Connection Attempt Delay of RFC 8305.
const (
	// nearTime is the round-trip time from which on a path is not near.
	nearTime = 12 * time.Millisecond
	// headStart is how long QUIC waits for TCP on a near path, so that where TCP is
	// there at once nothing is done twice; and TCP for QUIC if that is preferred.
	headStart = 50 * time.Millisecond
	// directStart is how long QUIC waits for TCP where the address is in no network
	// of this host: just long enough to see whether TCP is answered at once.
	directStart = 3 * time.Millisecond
	// graceTime is how long a QUIC connection over a near path is kept while TCP may
	// still come.
	graceTime = 100 * time.Millisecond
	// relayPatience is how long a connection through a relay is kept while a direct one
	// may still come, counted from when the last direct dial before it began. A relay
	// must never delay what can go directly for long, nor the reverse.
	relayPatience = 200 * time.Millisecond
)

var (
	// ErrLeft is in the chain of an error of [Dial] when nobody listens any more where
	// the broken connection went.
	ErrLeft = errors.New("the peer has left")
	// ErrNotReached is in the chain of an error of [Dial] when no connection to the
	// right key was made. Whatever answered is not known to be the peer: a later Dial
	// may reach the peer, so the answer must not end what can wait.
	ErrNotReached = errors.New("the peer was not reached")
)

// notReached puts [ErrNotReached] into the chain of an error, without changing its
// text.
type notReached struct{ error }

func (e notReached) Is(target error) bool { return target == ErrNotReached }
func (e notReached) Unwrap() error        { return e.error }

// Target says which peer to dial, and where.
type Target struct {
	// ID is the pin: the peer must have this key.
	ID identity.ID
	// Addrs are HOST:PORT. A host may be a name.
	Addrs []string
	// Given says that a person gave Addrs as the peer's. Only then is another key there an
	// error with code [proto.Identity]. Anywhere else, whatever a stranger answers says
	// nothing about the peer: the code is [proto.Unreachable].
	Given bool
	// Candidates are further addresses, which may still arrive while Dial runs. The
	// sender closes the channel after the last one. Nil for none. Candidates of type
	// relay are ignored.
	Candidates <-chan candidate.Candidate
	// Routes are further routes, sent as Candidates are. They are dialled at once. One of
	// kind [Relay] is used if nothing direct comes soon: see relayPatience. Any other
	// counts as a direct one over TCP.
	Routes <-chan Route
	Prefer Preference
	// Via says which paths are allowed. Addresses and routes on others are not dialled.
	Via Via
	// Above, if it is set, bars each path whose kind is not better than this one.
	Above Kind
	// Refused are paths that the peer has refused. Such ones are not tried: over the same
	// transport, of a kind that is as good.
	Refused []Path
	// Broken is what the connection went over that this one replaces.
	Broken Broken
	// Lookup returns the addresses of a host name. Nil to ask the system.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Broken is the transport and the address of a broken connection; zero if there was
// none.
type Broken struct {
	Via  string
	Addr netip.AddrPort
}

// Dial dials every address over every transport that the endpoint has, and returns
// the connection to prefer among those whose peer has the right key. It blocks until
// there is one, all have failed and no more candidate can arrive, or ctx ends. All
// other connections are closed.
func Dial(ctx context.Context, e *transport.Endpoint, t Target) (transport.Conn, error) {
	hosts, err := parseAddrs(ctx, t.Addrs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newRace(e, t, cancel)
	found := resolve(ctx, hosts, t.Lookup)
	r.run(ctx, found)
	if r.won == nil {
		return nil, notReached{r.failure(ctx)}
	}
	return r.won, nil
}
