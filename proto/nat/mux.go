package nat

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/time/rate"

	"mesh/proto/candidate"
)

const (
	// answerTimeout is how long an answer to a request of this end is taken.
	answerTimeout = 10 * time.Second

	// checksPerSecond bounds what this end sends to addresses that peers have named. In
	// no second there are more than 200 checks: the rate and the burst together.
	checksPerSecond, checksBurst = 160, 40

	// answersPerSecond bounds the answers to checks of all peers.
	answersPerSecond = 50

	// maxDialing and maxListening bound the sessions that send checks at the same time,
	// those in which this end dials and those in which it listens. Others wait.
	maxDialing, maxListening = 4, 64

	// maxRemembered bounds the proven addresses for [Mux.TypeOf].
	maxRemembered = 1024
)

// PacketConn is a UDP socket that also carries QUIC. A *quic.Transport is one.
type PacketConn interface {
	// ReadNonQUICPacket reads the next datagram that is none of QUIC. It blocks until
	// there is one, ctx ends or the socket is closed.
	ReadNonQUICPacket(ctx context.Context, b []byte) (int, net.Addr, error)
	WriteTo(b []byte, addr net.Addr) (int, error)
}

// Mux is the one reader of the STUN messages that arrive at a UDP socket. It hands each
// to whom it is for: [Mux.Map] or a [Checker]. Its methods may be called from several
// goroutines. A nil *Mux is that of a node without UDP: see the methods.
type Mux struct {
	conn PacketConn
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when nothing reads any more

	checks  *rate.Limiter
	answers *rate.Limiter
	// dialing and listening have one element for each session that sends checks.
	dialing, listening chan struct{}

	mu       sync.Mutex // also guards every Checker
	asked    map[stunID]*request
	order    []stunID // the keys of asked and answered ones, the oldest first
	checkers map[sessionName][]*Checker
	types    map[netip.AddrPort]candidate.Type
	proven   []netip.AddrPort // the keys of types, the oldest first
}

// stunID is a transaction id of STUN.
type stunID = [stun.TransactionIDSize]byte

// request is a question of this end that may still be answered.
type request struct {
	to   netip.AddrPort
	sent time.Time
	// answered takes a Binding response that came from to, and reports whether it is a
	// true one. It must not block.
	answered func(m *stun.Message, rtt time.Duration) bool
}

// NewMux begins to read the datagrams at a socket that are not QUIC. Nobody else may read them. The
// caller closes the Mux before the socket.
func NewMux(c PacketConn) *Mux {
	m := &Mux{
		conn: c, done: make(chan struct{}),
		checks:   rate.NewLimiter(checksPerSecond, checksBurst),
		answers:  rate.NewLimiter(answersPerSecond, answersPerSecond),
		dialing:  make(chan struct{}, maxDialing),
		checkers: make(map[sessionName][]*Checker), listening: make(chan struct{}, maxListening),
		asked: make(map[stunID]*request), types: make(map[netip.AddrPort]candidate.Type),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	// quic-go drops what comes before the first call.
	ended, cancel := context.WithCancel(m.ctx)
	cancel()
	_, _, _ = c.ReadNonQUICPacket(ended, nil)
	go m.read()
	return m
}

// Close stops reading and closes every Checker. It blocks until nothing of the Mux uses
// the socket.
func (m *Mux) Close() {
	m.stop()
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, same := range m.checkers {
		for _, c := range same {
			c.closeLocked()
		}
	}
}

func (m *Mux) read() {
	defer close(m.done)
	buf := make([]byte, MaxSTUNBytes+1)
	for {
		n, addr, err := m.conn.ReadNonQUICPacket(m.ctx, buf)
		if err != nil {
			return
		}
		udp, ok := addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		m.receive(buf[:n], unmapped(udp.AddrPort()))
	}
}

// receive handles one datagram. It must not block: quic-go queues 32 packets and drops
// others.
func (m *Mux) receive(b []byte, from netip.AddrPort) {
	msg, err := parse(b)
	if err != nil {
		return
	}
	switch msg.Type {
	case stun.BindingRequest:
		m.takeCheck(msg, from)
	case stun.BindingSuccess, stun.BindingError:
		m.takeAnswer(msg, from)
	}
}

func (m *Mux) takeAnswer(msg *stun.Message, from netip.AddrPort) {
	m.mu.Lock()
	r := m.asked[msg.TransactionID]
	m.mu.Unlock()
	if r == nil || r.to != from {
		return
	}
	rtt := time.Since(r.sent)
	if rtt > answerTimeout || !r.answered(msg, rtt) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.asked, msg.TransactionID)
}

// expectLocked takes an answer to the request id for answerTimeout.
func (m *Mux) expectLocked(id stunID, r *request) {
	for len(m.order) > 0 {
		old := m.asked[m.order[0]]
		if old != nil && time.Since(old.sent) <= answerTimeout {
			break
		}
		delete(m.asked, m.order[0])
		m.order = m.order[1:]
	}
	m.asked[id] = r
	m.order = append(m.order, id)
}

// send sends one datagram. A failure is a lost packet: the socket may lack the family
// of the address, or the machine a route.
func (m *Mux) send(b []byte, to netip.AddrPort) {
	_, _ = m.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// TypeOf returns the candidate type of an address that a [Checker] has proven, and "" of
// any other. It forgets the oldest addresses when there are more than 1024. A nil Mux
// knows none.
func (m *Mux) TypeOf(addr netip.AddrPort) candidate.Type {
	if m == nil {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.types[unmapped(addr)]
}

func (m *Mux) rememberLocked(addr netip.AddrPort, t candidate.Type) {
	if _, ok := m.types[addr]; !ok {
		m.proven = append(m.proven, addr)
	}
	m.types[addr] = t
	if len(m.proven) > maxRemembered {
		delete(m.types, m.proven[0])
		m.proven = m.proven[1:]
	}
}

// unmapped returns an IPv4 address that a dual-stack socket has mapped into IPv6 as such.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
