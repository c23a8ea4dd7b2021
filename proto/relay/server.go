package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto"
	"mesh/proto/identity"
)

// Options are those of a relay. A limit of 0 is none, but for Sessions.
type Options struct {
	// Hub is the key of the hub whose permits are good here.
	Hub identity.ID
	// OwnKey is set if the hub is in this process: the key of [OwnKeyLabel].
	OwnKey []byte
	// Name is this relay's, as permits have it.
	Name string
	// Rate bounds the bytes per second of a session, in both directions together, Total
	// those of all sessions, and Bytes all bytes of a session.
	Rate, Total, Bytes uint64
	// Sessions bounds the sessions that have a pair; 0 stands for
	// [DefaultSessions].
	Sessions int
	// Now may be nil. It is the clock of permits.
	Now func() time.Time
	// Log may be nil. It gets a line for each session.
	Log *slog.Logger
}

// Server is a relay: what is behind its doors. The caller has the listening socket.
type Server struct {
	o      Options
	limits limits
	total  *rate.Limiter // nil without a limit
	wg     sync.WaitGroup
	empty  chan struct{} // closed when the relay drains and has no pair left

	mu       sync.Mutex
	draining bool
	closed   bool
	sessions map[meeting]*session
	sweepAt  int // how many sessions make forgetLocked look at all of them
	pairs    map[*pair]bool
	nodes    map[identity.ID]node
	used     map[couple]*used // of those with sessions in the last hour; empty without Options.Bytes
	paired   int              // sessions with a pair
	waiting  int              // places
	sources  map[netip.Prefix]*source
	halfOpen int
	stats    counters
}

// NewServer returns a relay. [Server.Drain] ends it.
func NewServer(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, limits: defaultLimits(), empty: make(chan struct{}), sweepAt: firstSweep,
		sessions: make(map[meeting]*session), pairs: make(map[*pair]bool), nodes: make(map[identity.ID]node), used: make(map[couple]*used), sources: make(map[netip.Prefix]*source),
	}
	s.stats.joins = make(map[Join]uint64)
	if o.Total != 0 {
		s.total = newRate(o.Total)
	}
	if o.Sessions != 0 {
		s.limits.sessions = o.Sessions
	}
	return s
}

// ServePlain serves a connection to the plain door, from its first byte on. It takes over
// the connection. It returns when the connection has its place or is closed. A wrapper
// around a *net.TCPConn costs the kernel's copying unless it has a method NetConn, which
// returns the connection below it; it must hold none of the bytes after the greeting.
func (s *Server) ServePlain(conn net.Conn) {
	e, ok := s.enter(addrOf(conn.RemoteAddr().String()), func() { reset(conn) })
	if !ok {
		reset(conn)
		return
	}
	defer s.leave(e)
	_ = conn.SetDeadline(time.Now().Add(s.limits.doorTimeout))
	text, err := ReadGreeting(conn)
	if err != nil {
		s.refuse(newPlain(conn), DoorTCP, err)
		return
	}
	w := newPlain(conn)
	l, err := s.check(w, conn, DoorTCP, text)
	_ = conn.SetDeadline(time.Time{})
	s.settle(w, l, err)
}

// addrOf returns the address in a text IP:PORT; the zero Addr if there is none.
func addrOf(hostport string) netip.Addr {
	at, _ := netip.ParseAddrPort(hostport)
	return at.Addr()
}

// check checks the permit and the signature of the node that shows it.
func (s *Server) check(w wire, r io.Reader, door, text string) (*leg, error) {
	l := &leg{wire: w, door: door}
	var err error
	if l.permit, err = ParsePermit(text, s.o.Hub, s.o.OwnKey); err != nil {
		return l, err
	}
	if err := l.permit.Check(s.o.Name, s.o.Now()); err != nil {
		return l, err
	}
	challenge := make([]byte, ChallengeBytes)
	_, _ = rand.Read(challenge) // never fails (crypto/rand)
	if _, err := w.Write(challenge); err != nil {
		return l, err
	}
	sig := make([]byte, signatureBytes)
	if _, err := io.ReadFull(r, sig); err != nil {
		return l, err
	}
	if !checkDoor(l.permit.Node, s.o.Name, text, challenge, sig) {
		return l, proto.Errorf(proto.Denied, "the node that the permit names has not signed")
	}
	return l, nil
}

// settle gives the leg its place, or tells the node why it has none.
func (s *Server) settle(w wire, l *leg, err error) {
	if err == nil {
		err = s.join(l)
	}
	if err != nil {
		s.refuse(w, l.door, err)
		return
	}
	s.count(l.door, proto.OK)
}

// refuse tells a node why its connection ends, if it was heard in time, and ends it.
func (s *Server) refuse(w wire, door string, err error) {
	code := proto.CodeOf(err)
	s.o.Log.Debug("relay connection refused", "door", door, "why", err)
	if _, ok := errors.AsType[*proto.Error](err); !ok {
		s.count(door, proto.Unreachable)
		w.reset() // it ended, or is too slow
		return
	}
	s.count(door, code)
	_ = w.say(Refuse(code))
	w.close()
}

// Drain ends the relay. It takes no new connection, tells the places, waits until all
// pairs have ended or ctx ends, and then resets the pairs that are left. It returns when
// no goroutine of the relay is left.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	if !s.draining && len(s.pairs) == 0 {
		close(s.empty)
	}
	s.draining = true
	var told []*leg
	for _, ses := range s.sessions {
		for _, l := range slices.Concat(ses.places[0], ses.places[1]) {
			s.unplaceLocked(ses, l)
			s.releaseLocked(ses, l, false)
			told = append(told, l)
		}
	}
	s.mu.Unlock()
	for _, l := range told {
		l.refuse(Draining)
	}
	select {
	case <-s.empty:
	case <-ctx.Done():
	}
	s.close()
	s.wg.Wait()
}

// spawn starts a goroutine, for which Drain waits unless it is over.
func (s *Server) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go f()
		return
	}
	s.wg.Go(f)
}

// close ends the pairs, and the connections that have not passed the door.
func (s *Server) close() {
	s.mu.Lock()
	s.closed = true
	var ends []func()
	for _, src := range s.sources {
		for _, e := range src.open {
			ends = append(ends, e.end)
		}
	}
	for p := range s.pairs {
		ends = append(ends, func() { p.reset(errDrained) })
	}
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
