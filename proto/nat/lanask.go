package nat

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"mesh/proto/candidate"
	"mesh/proto/identity"
)

const (
	// The question is sent lanAskings times, with lanAskEvery between two. Answers are taken
	// for lanAskTime.
	lanAskings  = 3
	lanAskEvery = 200 * time.Millisecond
	lanAskTime  = 800 * time.Millisecond
	// maxLANAnswers bounds the answers that are looked at. Each machine that knows the id of a peer can
	// make them.
	maxLANAnswers = 8
)

var errNoLAN = errors.New("this machine is in no network with multicast")

// AskLAN asks for a node in the networks of this machine, and returns where it answers. The
// channel is closed after 800 ms, or when ctx ends; the caller need not read it.
//
// Only candidates with one of the ports are returned: at another port is another process of
// the same node, which knows nothing of what this one wants. A candidate is a hint like any
// other, and proves nothing. It may have a link-local address with a zone.
func AskLAN(ctx context.Context, id identity.ID, ports []uint16) (<-chan candidate.Candidate, error) {
	interfaces, err := lanInterfaces()
	if err != nil {
		return nil, err
	}
	a := newLANAsker(id, ports, interfaces)
	var conns []net.PacketConn
	err = errNoLAN
	for _, group := range []netip.Addr{lanGroup4, lanGroup6} {
		if !slices.ContainsFunc(interfaces, func(i lanInterface) bool { return i.has(group) }) {
			continue
		}
		var conn net.PacketConn
		if conn, err = net.ListenPacket(lanNetwork(group), ":0"); err == nil {
			conns = append(conns, conn)
		}
	}
	if len(conns) == 0 {
		return nil, err
	}
	go a.run(ctx, conns)
	return a.found, nil
}

// lanNetwork returns the network of the sockets for a group.
func lanNetwork(group netip.Addr) string {
	if group.Is4() {
		return "udp4"
	}
	return "udp6"
}

// lanAsker is one question.
type lanAsker struct {
	id         identity.ID
	nonce      lanNonce
	ports      []uint16
	interfaces []lanInterface
	found      chan candidate.Candidate // never full

	mu      sync.Mutex
	answers int
	told    []candidate.Candidate
}

func newLANAsker(id identity.ID, ports []uint16, interfaces []lanInterface) *lanAsker {
	a := &lanAsker{id: id, ports: ports, interfaces: interfaces, found: make(chan candidate.Candidate, 2*maxLANAnswers)}
	_, _ = rand.Read(a.nonce[:]) // never fails
	return a
}

// run asks from each socket, and closes them and found.
func (a *lanAsker) run(ctx context.Context, conns []net.PacketConn) {
	ctx, cancel := context.WithTimeout(ctx, lanAskTime)
	defer cancel()
	defer close(a.found)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, conn := range conns {
		context.AfterFunc(ctx, func() { conn.Close() })
		wg.Go(func() { a.read(conn) })
	}
	question := newLANQuestion(a.id, a.nonce)
	for range lanAskings {
		for _, conn := range conns {
			a.send(conn, question)
		}
		select {
		case <-time.After(lanAskEvery):
		case <-ctx.Done():
			return
		}
	}
}

// send sends the question on each interface. There may be no route to the group. A failure
// is a lost packet.
func (a *lanAsker) send(conn net.PacketConn, question []byte) {
	four := conn.LocalAddr().(*net.UDPAddr).IP.To4() != nil
	for _, i := range a.interfaces {
		to := net.UDPAddr{IP: lanGroup6.AsSlice(), Port: lanPort, Zone: i.Name}
		if four {
			to = net.UDPAddr{IP: lanGroup4.AsSlice(), Port: lanPort}
			if ipv4.NewPacketConn(conn).SetMulticastInterface(&i.Interface) != nil {
				continue
			}
		}
		if i.has(unmapped(to.AddrPort()).Addr()) {
			_, _ = conn.WriteTo(question, &to)
		}
	}
}

func (a *lanAsker) read(conn net.PacketConn) {
	b := make([]byte, lanAnswerBytes+1)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil && errors.Is(err, net.ErrClosed) {
			return
		}
		if udp, ok := from.(*net.UDPAddr); ok && err == nil {
			a.take(b[:n], unmapped(udp.AddrPort()))
		}
	}
}

// take takes one datagram.
func (a *lanAsker) take(b []byte, from netip.AddrPort) {
	port, ok := parseLANAnswer(b, a.id, a.nonce)
	if !ok || !isNear(a.interfaces, from.Addr()) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers++; a.answers > maxLANAnswers {
		return
	}
	a.tellLocked(candidate.TCP, netip.AddrPortFrom(from.Addr(), port))
	a.tellLocked(candidate.UDP, from)
}

func (a *lanAsker) tellLocked(p candidate.Proto, at netip.AddrPort) {
	c := candidate.At(candidate.Host, p, at, 0xffff)
	if slices.Contains(a.ports, at.Port()) && !slices.Contains(a.told, c) {
		a.told = append(a.told, c)
		a.found <- c
	}
}
