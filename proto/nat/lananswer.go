package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"

	"mesh/proto/identity"
)

const (
	// lanAnswersPerSecond bounds the answers of a node in all networks.
	lanAnswersPerSecond = 5
	// lanLookEvery is the time between two looks for interfaces that are new.
	lanLookEvery = 15 * time.Second
)

// LANOptions are the options of [Mux.AnswerLAN].
type LANOptions struct {
	ID identity.ID
	// TCP is the port at which this node takes TCP connections; 0 for none.
	TCP uint16
	// Changed, if it is set, returns a channel that is closed at the next change of this
	// machine's network. New interfaces are looked for then, and now and then.
	Changed func() <-chan struct{}
	// Failed, if it is set, is called with why this node cannot be asked in a network, once
	// with each text.
	Failed func(error)
}

// AnswerLAN answers dialers that ask for this node in the networks of this machine: see
// [AskLAN]. The answers come from the socket of the Mux, where a nil Mux has none from that
// of the questions. It blocks until ctx ends.
//
// Only askers at private and link-local addresses in these networks get one, 5 in a second.
// Several processes of one machine may answer at the same time, each for its own node.
func (m *Mux) AnswerLAN(ctx context.Context, o LANOptions) {
	a := newLANAnswerer(o, lanInterfaces)
	defer a.close()
	send := func(_ net.PacketConn, b []byte, to netip.AddrPort) { m.send(b, to) }
	if m == nil {
		send = func(conn net.PacketConn, b []byte, to netip.AddrPort) {
			_, _ = conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
		}
	}
	tick := time.NewTicker(lanLookEvery)
	defer tick.Stop()
	for {
		var changed <-chan struct{}
		if o.Changed != nil {
			changed = o.Changed()
		}
		a.look(send)
		select {
		case <-tick.C:
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// lanAnswerer answers the questions of [AskLAN].
type lanAnswerer struct {
	LANOptions
	interfaces func() ([]lanInterface, error)
	limit      *rate.Limiter
	groups     []*lanGroup
	failed     map[string]bool // the texts that Failed knows
}

// lanGroup is a group and its membership.
type lanGroup struct {
	addr   netip.Addr
	conn   net.PacketConn // nil until an interface has the family
	joined map[string]bool
}

func newLANAnswerer(o LANOptions, interfaces func() ([]lanInterface, error)) *lanAnswerer {
	return &lanAnswerer{
		LANOptions: o, interfaces: interfaces, failed: make(map[string]bool),
		limit:  rate.NewLimiter(lanAnswersPerSecond, lanAnswersPerSecond),
		groups: []*lanGroup{{addr: lanGroup4}, {addr: lanGroup6}},
	}
}

func (a *lanAnswerer) close() {
	for _, g := range a.groups {
		if g.conn != nil {
			g.conn.Close()
		}
	}
}

// answer returns the answer to a datagram. ok is false if there is none.
func (a *lanAnswerer) answer(b []byte, from netip.AddrPort) (answer []byte, ok bool) {
	nonce, ok := parseLANQuestion(b, a.ID)
	if !ok {
		return nil, false
	}
	list, err := a.interfaces()
	if err != nil || !isNear(list, from.Addr()) || !a.limit.Allow() {
		return nil, false
	}
	return newLANAnswer(a.ID, nonce, a.TCP), true
}

// look joins the groups on the interfaces that are new.
func (a *lanAnswerer) look(send func(net.PacketConn, []byte, netip.AddrPort)) {
	list, err := a.interfaces()
	if err != nil {
		a.fail(err)
		return
	}
	for _, g := range a.groups {
		there := make(map[string]bool)
		for _, i := range list {
			if !i.has(g.addr) {
				continue
			}
			if g.conn == nil {
				if err := a.open(g, send); err != nil {
					a.fail(err)
					break
				}
			}
			key := fmt.Sprint(i.Index, i.Name)
			if there[key] = g.joined[key]; there[key] {
				continue
			}
			if err := g.join(i); err != nil {
				a.fail(fmt.Errorf("join %s on %s: %w", g.addr, i.Name, err))
				continue
			}
			there[key] = true
		}
		g.joined = there
	}
}

// fail reports a failure, which lasts as a rule, once.
func (a *lanAnswerer) fail(err error) {
	if text := err.Error(); !a.failed[text] {
		a.failed[text] = true
		if a.Failed != nil {
			a.Failed(err)
		}
	}
}

// open opens the socket of a group. Package net lets others have the port too, since the
// address is a multicast one, and binds it to all addresses.
func (a *lanAnswerer) open(g *lanGroup, send func(net.PacketConn, []byte, netip.AddrPort)) error {
	conn, err := net.ListenPacket(lanNetwork(g.addr), netip.AddrPortFrom(g.addr, lanPort).String())
	if err != nil {
		return err
	}
	g.conn = conn
	go func() {
		b := make([]byte, lanQuestionBytes+1)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil && errors.Is(err, net.ErrClosed) {
				return
			}
			udp, ok := from.(*net.UDPAddr)
			if err != nil || !ok {
				continue
			}
			to := unmapped(udp.AddrPort())
			if answer, ok := a.answer(b[:n], to); ok {
				send(conn, answer, to)
			}
		}
	}()
	return nil
}

// join joins a group on an interface. It may be a member there from before the interface
// was down.
func (g *lanGroup) join(i lanInterface) error {
	group := &net.UDPAddr{IP: g.addr.AsSlice()}
	if g.addr.Is4() {
		p := ipv4.NewPacketConn(g.conn)
		_ = p.LeaveGroup(&i.Interface, group)
		return p.JoinGroup(&i.Interface, group)
	}
	p := ipv6.NewPacketConn(g.conn)
	_ = p.LeaveGroup(&i.Interface, group)
	return p.JoinGroup(&i.Interface, group)
}
