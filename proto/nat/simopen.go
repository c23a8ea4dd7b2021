package nat

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mesh/proto/candidate"
)

const (
	// openAgain and openTime say how often, and for how long, a dial to a candidate that
	// failed is made again.
	openAgain = 200 * time.Millisecond
	openTime  = 3 * time.Second
	// maxOpenDials bounds the addresses to which one hole dials, and maxRemote the
	// candidates of one list that it looks at: a peer chooses both.
	maxOpenDials = 8
	// dialEvery is how soon a session may dial one address more.
	dialEvery = time.Minute
	maxRemote = 16
	// maxDialerTakes bounds the connections that the hole of a dialer accepts.
	maxDialerTakes = 8
	// acceptPause is the pause after an error of the listening socket.
	acceptPause = 200 * time.Millisecond
)

// HoleOptions says what a [Hole] is for.
type HoleOptions struct {
	Network string // "tcp4" or "tcp6"
	// Dialer is set at the end that begins the link. It accepts connections only from the
	// hosts of the peer's candidates, since nobody else is dialled there.
	Dialer bool
	// Loopback allows candidates at loopback addresses: see [candidate.Candidate.Dialable].
	Loopback bool
	// Dials, if it is set, bounds the addresses that all holes of a session dial.
	Dials *Dials
}

// Hole is an ephemeral TCP port from which this end and its peer connect to each other at
// the same moment (simultaneous open, RFC 9293, section 3.5). Each NAT or firewall between
// them takes the peer's SYN for the answer to the SYN that it has let out.
//
// The port is never that of another listener: its sockets share it (SO_REUSEPORT), so a
// second process of this user could share it too.
//
// A hole serves one session. After its connection broke, a new one needs a new hole: the
// four-tuple of the old one stays in TIME_WAIT at the end that closed first.
type Hole struct {
	options  HoleOptions
	listener net.Listener
	conns    chan net.Conn

	// ctx is the lifetime of the hole. It ends with Close.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	kept      []net.Conn       // to STUN servers
	mapped    []netip.AddrPort // what these servers have said
	hosts     []netip.Addr     // of the newest candidates
	dialled   []netip.AddrPort
	accepting bool
}

// Dials bounds the addresses that the TCP holes of one session dial, however many holes and
// lists the other end makes this one have: 8 at once, and then one more a minute.
type Dials struct{ limit *rate.Limiter }

// NewDials returns the bound of a new session.
func NewDials() *Dials { return &Dials{rate.NewLimiter(rate.Every(dialEvery), maxOpenDials)} }

// allow takes one of the dials that are left. A nil *Dials has any number.
func (d *Dials) allow() bool { return d == nil || d.limit.Allow() }

// OpenHole opens an ephemeral port. The caller closes the hole. On Windows there is none:
// the error is [errors.ErrUnsupported].
func OpenHole(o HoleOptions) (*Hole, error) {
	conf := net.ListenConfig{Control: sharePort}
	conf.SetMultipathTCP(false) // an MPTCP socket can't open simultaneously
	l, err := conf.Listen(context.Background(), o.Network, ":0")
	if err != nil {
		return nil, err
	}
	h := &Hole{options: o, listener: l, conns: make(chan net.Conn)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Port returns the number of the port.
func (h *Hole) Port() uint16 { return uint16(h.listener.Addr().(*net.TCPAddr).Port) }

// Connect dials the peer's server-reflexive TCP candidates from the port, again each 200 ms
// for 3 s while that fails, and accepts connections to the port until Close. It does not
// block. The connections come from the channel, which is the same for each call and which
// Close closes. A connection may be anybody's: the caller proves that it is the peer's, and
// closes it.
//
// A later call adds the candidates of a newer list. Each address is dialled by one call
// alone, 8 addresses in all, and no more than [HoleOptions.Dials] lets. The dials of a call end with its ctx.
func (h *Hole) Connect(ctx context.Context, remote []candidate.Candidate) <-chan net.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.conns
	}
	if !h.accepting {
		h.accepting = true
		h.tasks.Go(h.accept)
	}
	for _, to := range h.takeListLocked(remote) {
		h.tasks.Go(func() { h.dial(ctx, to) })
	}
	return h.conns
}

// takeListLocked notes the hosts of a list, and returns the addresses to dial.
func (h *Hole) takeListLocked(remote []candidate.Candidate) (dial []netip.AddrPort) {
	h.hosts = nil
	for _, c := range remote[:min(len(remote), maxRemote)] {
		at, ok := c.AddrPort()
		if !ok || !c.Dialable(h.options.Loopback) {
			continue
		}
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		h.hosts = append(h.hosts, at.Addr())
		if c.Type == candidate.ServerReflexive && c.Proto == candidate.TCP && h.mayDialLocked(at) {
			h.dialled, dial = append(h.dialled, at), append(dial, at)
		}
	}
	return dial
}

func (h *Hole) mayDialLocked(at netip.AddrPort) bool {
	if at.Addr().Is4() != (h.options.Network == "tcp4") || len(h.dialled) == maxOpenDials {
		return false
	}
	return !slices.Contains(h.dialled, at) && !h.isOwnLocked(at) && h.options.Dials.allow()
}

// isOwnLocked reports whether the hole has the address itself: TCP connects a port to
// itself as it does two ends.
func (h *Hole) isOwnLocked(at netip.AddrPort) bool {
	if slices.Contains(h.mapped, at) {
		return true
	}
	if at.Port() != h.Port() {
		return false
	}
	own, err := net.InterfaceAddrs()
	return err != nil || at.Addr().IsLoopback() || slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == at.Addr()
	})
}

// dial connects to an address, or tries to until openTime has passed.
func (h *Hole) dial(ctx context.Context, to netip.AddrPort) {
	ctx, cancel := h.within(ctx)
	defer cancel()
	limit, done := context.WithTimeout(ctx, openTime)
	defer done()
	again := time.NewTicker(openAgain)
	defer again.Stop()
	for {
		if conn, err := h.connect(limit, to); err == nil {
			h.deliver(ctx, conn)
			return
		}
		select {
		case <-limit.Done():
			return
		case <-again.C:
		}
	}
}

// connect makes one connection from the port.
func (h *Hole) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{Port: int(h.Port())}, Control: sharePort}
	return d.DialContext(ctx, h.options.Network, to.String())
}

func (h *Hole) accept() {
	for taken := 0; ; {
		conn, err := h.listener.Accept()
		switch {
		case h.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return
		case err != nil:
			select {
			case <-h.ctx.Done():
			case <-time.After(acceptPause):
			}
		case !h.mayTake(conn, taken):
			conn.Close()
		default:
			taken++
			h.deliver(h.ctx, conn)
		}
	}
}

func (h *Hole) mayTake(conn net.Conn, taken int) bool {
	if !h.options.Dialer {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return taken < maxDialerTakes && slices.Contains(h.hosts, from)
}

// deliver hands the connection to the caller of Connect, or closes it if ctx ends before.
func (h *Hole) deliver(ctx context.Context, conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-ctx.Done():
		conn.Close()
	}
}

// within returns a context that ends with ctx and with the hole.
func (h *Hole) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close ends the dials, closes the port, the connections to STUN servers and the channel of
// Connect. The connections that came from it live on.
func (h *Hole) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	h.cancel()
	h.mu.Unlock()
	h.listener.Close()
	h.tasks.Wait()
	for _, c := range h.kept {
		c.Close()
	}
	close(h.conns)
}
