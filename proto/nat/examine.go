package nat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// Findings are what [Examine] has found out.
type Findings struct {
	// Servers has an element for each server, in the order of the servers.
	Servers []Asked
	Kind    Kind
	// FromOtherPort tells whether the routers let in what comes from another port of a
	// host that was asked; Hairpin whether a machine behind the router is reached at the
	// address that others see.
	FromOtherPort, Hairpin Finding
	// MTU is the largest size in bytes of a UDP packet's content that has reached the
	// server unbroken, of those in [Sizes]; 0 if none has, or if it was not tested.
	MTU int
}

// Asked is what came of asking one server. Mapped is the zero value if it has not answered.
type Asked struct {
	Server, Mapped netip.AddrPort
	RTT            time.Duration
}

// Finding is a yes, a no, or "" for what is not known.
type Finding string

// The findings.
const (
	Yes Finding = "yes"
	No  Finding = "no"
)

// Sizes are the contents of UDP packets in bytes that [Examine] tries: the smallest one that
// QUIC needs, one that fits into most tunnels, and the largest one that QUIC sends.
var Sizes = []int{1280, 1400, 1452}

// examineTimes are the times at which a question is repeated, examineFor is how long an
// answer may take.
var examineTimes = []time.Duration{0, 150 * time.Millisecond, 400 * time.Millisecond}

const examineFor = time.Second

// maxReadErrors is how many errors of a socket are not taken for its end.
const maxReadErrors = 16

// Examine finds out from STUN servers of one address family what the network does with UDP:
// more than [Mux.Map] does, and slower. open opens a new socket for that family; its packets
// must not be fragmented if unbroken is set, else sizes are not tested. local are the
// addresses of this machine's interfaces. It blocks for 3 seconds at most.
func Examine(ctx context.Context, open func() (net.PacketConn, error), servers []netip.AddrPort, local []netip.Addr, unbroken bool) (f Findings, err error) {
	f.Kind = Unknown
	var askers [3]*asker
	for i := range askers {
		conn, err := open()
		if err != nil {
			return f, fmt.Errorf("open a UDP socket: %w", err)
		}
		a := newAsker(conn)
		defer a.close()
		askers[i] = a
	}
	f.Servers = askers[0].askEach(ctx, servers)
	seen := make([]netip.AddrPort, len(servers))
	var first Asked
	for i, s := range f.Servers {
		seen[i] = s.Mapped
		if s.Mapped.IsValid() && !first.Mapped.IsValid() {
			first = s
		}
	}
	if len(servers) > 0 {
		f.Kind = kindOf(seen, local)
	}
	if !first.Mapped.IsValid() {
		return f, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.FromOtherPort = askers[1].fromOtherPort(ctx, first.Server) })
	if f.Kind != Open && first.Mapped.Addr().Is4() {
		wg.Go(func() { f.Hairpin = hairpin(ctx, askers[0], askers[2], first) })
	}
	if unbroken {
		wg.Go(func() { f.MTU = askers[0].largest(ctx, first.Server) })
	}
	wg.Wait()
	return f, nil
}

// askEach asks all servers at the same time.
func (a *asker) askEach(ctx context.Context, servers []netip.AddrPort) []Asked {
	asked := make([]Asked, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		asked[i].Server = server
		wg.Go(func() {
			if r, ok := a.ask(ctx, server, plainQuestion); ok && r.from == unmapped(server) {
				asked[i].Mapped, asked[i].RTT = r.mapped, r.rtt
			}
		})
	}
	wg.Wait()
	return asked
}

func plainQuestion(id stunID) []byte { return AppendBinding(nil, id, questionBytes) }

// fromOtherPort asks a server to answer from its other port, which this socket has not sent
// to.
func (a *asker) fromOtherPort(ctx context.Context, server netip.AddrPort) Finding {
	if _, ok := a.ask(ctx, server, plainQuestion); !ok {
		return ""
	}
	r, ok := a.ask(ctx, server, func(id stunID) []byte { return AppendBindingChangePort(nil, id, questionBytes) })
	switch {
	case !ok:
		return No
	case r.from == unmapped(server): // it refuses, or does not know the wish
		return ""
	}
	return Yes
}

// hairpin sends between two sockets, by their addresses that others see. Both send: the
// router may let in only what comes from where the socket has sent to.
func hairpin(ctx context.Context, a, b *asker, of Asked) Finding {
	other, ok := b.ask(ctx, of.Server, plainQuestion)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { a.ask(ctx, other.mapped, plainQuestion) })
	wg.Go(func() { b.ask(ctx, of.Mapped, plainQuestion) })
	timer := time.NewTimer(examineFor)
	defer timer.Stop()
	select {
	case <-a.asked:
		return Yes
	case <-b.asked:
		return Yes
	case <-timer.C:
	case <-ctx.Done():
		return ""
	}
	return No
}

// largest returns the largest of [Sizes] that reaches the server.
func (a *asker) largest(ctx context.Context, server netip.AddrPort) (size int) {
	reaches := make([]bool, len(Sizes))
	var wg sync.WaitGroup
	for i, n := range Sizes {
		wg.Go(func() {
			_, reaches[i] = a.ask(ctx, server, func(id stunID) []byte { return AppendBinding(nil, id, n) })
		})
	}
	wg.Wait()
	for i, n := range Sizes {
		if reaches[i] {
			size = n
		}
	}
	return size
}

// asker asks questions from a socket. It reads the socket alone.
type asker struct {
	conn net.PacketConn
	done chan struct{} // closed when nothing reads any more
	// asked is closed when a question of somebody else has arrived.
	asked chan struct{}

	mu      sync.Mutex
	waiting map[stunID]chan answered
}

// answered is an answer. mapped is the zero value if it is a refusal.
type answered struct {
	from, mapped netip.AddrPort
	rtt          time.Duration
}

func newAsker(conn net.PacketConn) *asker {
	a := &asker{conn: conn, done: make(chan struct{}), asked: make(chan struct{}), waiting: make(map[stunID]chan answered)}
	go a.read()
	return a
}

func (a *asker) close() {
	_ = a.conn.Close()
	<-a.done
}

func (a *asker) read() {
	defer close(a.done)
	var once sync.Once
	failed := 0
	buf := make([]byte, MaxSTUNBytes+1)
	for {
		n, addr, err := a.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) || failed == maxReadErrors {
			return
		}
		if err != nil { // Windows tells of an ICMP message so
			failed++
			continue
		}
		udp, ok := addr.(*net.UDPAddr)
		msg, err := parse(buf[:n])
		if !ok || err != nil {
			continue
		}
		if msg.Type == stun.BindingRequest {
			once.Do(func() { close(a.asked) })
			continue
		}
		a.mu.Lock()
		answers := a.waiting[msg.TransactionID]
		a.mu.Unlock()
		if answers == nil {
			continue
		}
		mapped, _ := ParseMapped(buf[:n], msg.TransactionID)
		select {
		case answers <- answered{from: unmapped(udp.AddrPort()), mapped: mapped}:
		default: // answered before
		}
	}
}

// ask sends a question up to three times, and returns the first answer within a second.
func (a *asker) ask(ctx context.Context, to netip.AddrPort, question func(stunID) []byte) (answered, bool) {
	var id stunID
	_, _ = rand.Read(id[:]) // never fails
	answers := make(chan answered, 1)
	a.mu.Lock()
	a.waiting[id] = answers
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.waiting, id)
		a.mu.Unlock()
	}()
	text, began := question(id), time.Now()
	for i := range examineTimes {
		_, _ = a.conn.WriteTo(text, net.UDPAddrFromAddrPort(to)) // a failure is a lost packet
		until := examineFor
		if i+1 < len(examineTimes) {
			until = examineTimes[i+1]
		}
		timer := time.NewTimer(until - time.Since(began))
		select {
		case r := <-answers:
			timer.Stop()
			r.rtt = time.Since(began)
			return r, true
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answered{}, false
		}
	}
	return answered{}, false
}
