package serve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto/hub/broker"
	"mesh/proto/nat"
	"mesh/proto/relay"
)

const (
	// maxSilent bounds the connections that are not logged in, maxSilentOfSource those
	// of one source. See [broker.Source].
	maxSilent         = 512
	maxSilentOfSource = 32
	// fairShare is how many of these places a source may have while others wait for one.
	fairShare = 8
	// acceptPause is the wait after an Accept that failed, for example for want of file
	// descriptors.
	acceptPause = 50 * time.Millisecond
	// maxHandshakes bounds the TLS handshakes that the hub computes at a time.
	maxHandshakes = 64
)

// tlsRecord is the first byte of a TLS connection: a handshake record (RFC 8446,
// section 5.1).
const tlsRecord = 0x16

// stunRequest is the first byte of a Binding request of STUN (RFC 8489, section 5).
const stunRequest = 0x00

// doorOptions are the settings of a door.
type doorOptions struct {
	tls *tls.Config
	// blocked reports whether connections of an address are refused, isProxy whether it is
	// that of a proxy, which ends TLS.
	blocked, isProxy func(netip.Addr) bool
	// relay has the connections of the relay's plain door; nil without one.
	relay *relay.Server
	// stun answers Binding requests; nil without it.
	stun  *nat.Server
	log   *slog.Logger
	waits waits
}

// waits bound the steps of clients that are not logged in: firstByte the wait for the first
// byte, hello each further step. Patience is how long the hub waits, while all places are
// taken, for a client that has its turn in the handshake or the login.
type waits struct{ firstByte, hello, patience time.Duration }

var defaultWaits = waits{5 * time.Second, 5 * time.Second, 2 * time.Second}

// door is a listener whose connections are TLS or plain, and limited until they are
// logged in.
type door struct {
	net.Listener
	o     doorOptions
	ready chan net.Conn
	done  chan struct{}
	slots chan struct{} // has an element for each handshake that is computed
	once  sync.Once
	wg    sync.WaitGroup

	freed chan struct{} // has an element after a place became free

	mu     sync.Mutex // guards silent
	silent map[netip.Prefix][]*entrance
	count  int
}

func newDoor(l net.Listener, o doorOptions) *door {
	return &door{Listener: l, o: o, ready: make(chan net.Conn), done: make(chan struct{}), slots: make(chan struct{}, maxHandshakes), freed: make(chan struct{}, 1), silent: make(map[netip.Prefix][]*entrance)}
}

// Accept implements [net.Listener].
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (d *door) Close() error {
	var err error
	d.once.Do(func() {
		close(d.done)
		err = d.Listener.Close()
	})
	return err
}

// run accepts connections until the door is closed.
func (d *door) run() {
	defer d.wg.Wait()
	for {
		c, err := d.Listener.Accept()
		if err == nil {
			d.admit(c)
			continue
		}
		select {
		case <-d.done:
			return
		case <-time.After(acceptPause):
		}
	}
}

// admit takes a connection, unless its source has too many that are not logged in.
func (d *door) admit(c net.Conn) {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || d.o.blocked(at.Addr()) {
		_ = c.Close()
		return
	}
	e := &entrance{Conn: c, door: d, at: at, source: broker.Source(at.Addr())}
	e.asked.Store(time.Now().UnixNano())
	if !d.enter(e) {
		_ = c.Close()
		return
	}
	d.wg.Go(func() { d.open(e) })
}

// open waits for the first byte, which tells what the client speaks: TLS, the relay's plain
// door, STUN, or HTTP of a proxy. It makes the TLS handshake, and hands the connection to the
// HTTP server.
func (d *door) open(e *entrance) {
	_ = e.SetReadDeadline(time.Now().Add(d.o.waits.firstByte))
	if _, err := e.readConn(e.first[:]); err != nil {
		_ = e.Close()
		return
	}
	_ = e.SetReadDeadline(time.Time{})
	d.speaks(e)
	e.peeked = true
	if serve := d.other(e); serve != nil {
		d.leave(e) // what serves it has limits of its own
		serve(e)
		return
	}
	var c net.Conn = e
	if e.first[0] == tlsRecord {
		t := tls.Server(e, d.o.tls)
		if err := e.handshake(t); err != nil {
			d.o.log.Debug("TLS handshake failed", "from", e.at, "err", err)
			_ = t.Close()
			return
		}
		c = t
	} else if !e.at.Addr().IsLoopback() && !d.o.isProxy(e.at.Addr()) {
		_ = e.Close()
		return
	}
	select {
	case d.ready <- c:
	case <-d.done:
		_ = c.Close()
	}
}

// other returns what serves a connection that is neither TLS nor HTTP; nil for those. STUN
// over a proxy would tell the address of the proxy.
func (d *door) other(e *entrance) func(*entrance) {
	switch {
	case e.first[0] == relay.Magic[0] && d.o.relay != nil:
		return func(e *entrance) { d.o.relay.ServePlain(e) }
	case e.first[0] == stunRequest && d.o.stun != nil && !d.o.isProxy(e.at.Addr()):
		return func(e *entrance) { d.o.stun.ServeTCP(e, e.at) }
	}
	return nil
}

// enter gives a connection one of the places of those that are not logged in. When all
// places of its source are taken, the oldest one there that has not said anything goes, so
// that a member behind the same address gets in. When all places are taken, enter makes
// one free or waits for one, and the clients that come later wait in the backlog: after a
// restart of the hub all its members come at once, and none of them may push out another
// one that is about to be logged in.
func (d *door) enter(e *entrance) bool {
	for {
		victim, entered, wait := d.tryEnter(e)
		if victim != nil {
			_ = victim.Close()
		}
		if !wait {
			return entered
		}
		timer := time.NewTimer(d.o.waits.patience / 10) // a client may have become too slow
		select {
		case <-d.freed:
		case <-timer.C:
		case <-d.done:
			return false
		}
		timer.Stop()
	}
}

// tryEnter is enter, but tells the caller to wait, and leaves it to the caller to close
// the connection that has lost its place.
func (d *door) tryEnter(e *entrance) (victim *entrance, entered, wait bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch list := d.silent[e.source]; {
	case len(list) >= maxSilentOfSource && !d.o.isProxy(e.at.Addr()):
		i := slices.IndexFunc(list, func(o *entrance) bool { return !o.spoke })
		if i < 0 {
			return nil, false, false
		}
		victim = list[i]
	case d.count >= maxSilent:
		if victim = d.slowestLocked(); victim == nil {
			return nil, false, true
		}
	}
	if victim != nil {
		d.leaveLocked(victim)
	}
	d.silent[e.source] = append(d.silent[e.source], e)
	d.count++
	return victim, true, false
}

// speaks notes that the connection has sent its first byte.
func (d *door) speaks(e *entrance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.spoke = true
}

// slowestLocked returns the connection whose client has kept the hub waiting longest: of
// the source with the most places if that has more than its share, else of those that the
// hub has no more patience with. It may return nil.
func (d *door) slowestLocked() *entrance {
	var most []*entrance
	for _, list := range d.silent {
		if len(list) > len(most) && !d.o.isProxy(list[0].at.Addr()) {
			most = list
		}
	}
	if len(most) > fairShare {
		return slowest(most, time.Now())
	}
	var victim *entrance
	for _, list := range d.silent {
		if one := slowest(list, time.Now().Add(-d.o.waits.patience)); one != nil && (victim == nil || one.asked.Load() < victim.asked.Load()) {
			victim = one
		}
	}
	return victim
}

// slowest returns the connection whose client has kept the hub waiting longest, since
// before the given time, or nil.
func slowest(list []*entrance, before time.Time) (victim *entrance) {
	since := before.UnixNano()
	for _, e := range list {
		if asked := e.asked.Load(); asked != 0 && asked < since {
			victim, since = e, asked
		}
	}
	return victim
}

// leave says that the connection is logged in, or closed.
func (d *door) leave(e *entrance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaveLocked(e)
}

func (d *door) leaveLocked(e *entrance) {
	list := d.silent[e.source]
	for i, other := range list {
		if other == e {
			d.silent[e.source] = append(list[:i:i], list[i+1:]...)
			d.count--
			select {
			case d.freed <- struct{}{}:
			default:
			}
			break
		}
	}
	if len(d.silent[e.source]) == 0 {
		delete(d.silent, e.source)
	}
}

// entrance is a connection below TLS. It gives back the byte that was read to tell what
// the client speaks.
type entrance struct {
	net.Conn
	door   *door
	at     netip.AddrPort
	source netip.Prefix
	spoke  bool // guarded by door.mu
	first  [1]byte
	peeked bool
	// asked is when the hub began to wait for the client, in Unix nanoseconds; 0 while it
	// does not.
	asked atomic.Int64

	// Of the TLS handshake: whether it goes on, whether it has a slot, and when it must be
	// over.
	shaking bool
	slot    bool
	until   time.Time
}

// handshake makes the TLS handshake. Its time begins with its first slot, and does not
// run while it waits for one.
func (e *entrance) handshake(t *tls.Conn) error {
	e.take()
	e.shaking, e.until = true, time.Now().Add(e.door.o.waits.hello)
	_ = e.SetDeadline(e.until)
	err := t.Handshake()
	e.shaking = false
	e.free()
	_ = e.SetDeadline(time.Time{})
	return err
}

// take waits for a slot.
func (e *entrance) take() {
	select {
	case e.door.slots <- struct{}{}:
		e.slot = true
	case <-e.door.done:
	}
}

func (e *entrance) free() {
	if e.slot {
		<-e.door.slots
		e.slot = false
	}
}

// Read implements [net.Conn].
func (e *entrance) Read(p []byte) (int, error) {
	if e.peeked && len(p) > 0 {
		e.peeked = false
		return copy(p, e.first[:]), nil
	}
	if !e.shaking {
		return e.readConn(p)
	}
	e.free() // the slot is for work, and now the client has to say something
	n, err := e.readConn(p)
	before := time.Now()
	e.take()
	e.until = e.until.Add(time.Since(before))
	_ = e.SetDeadline(e.until)
	return n, err
}

// readConn reads what the client has to say.
func (e *entrance) readConn(p []byte) (int, error) {
	e.asked.Store(time.Now().UnixNano())
	defer e.asked.Store(0)
	return e.Conn.Read(p)
}

// NetConn returns the connection that was accepted.
func (e *entrance) NetConn() net.Conn { return e.Conn }

// Close implements [net.Conn].
func (e *entrance) Close() error {
	e.door.leave(e)
	return e.Conn.Close()
}

type entranceKey struct{}

// withEntrance remembers the connection below TLS of a request.
func withEntrance(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, entranceKey{}, c)
}

func entranceOf(ctx context.Context) *entrance {
	e, _ := ctx.Value(entranceKey{}).(*entrance)
	return e
}
