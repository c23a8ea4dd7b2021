package relay_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

// pairsOfBenchmark are 10,000 connections.
const pairsOfBenchmark = 5000

// As many sessions as may be are joined at a relay with its own limits. The next one is
// refused, the others go on, and when one of them ends there is room again.
func TestFullRelay(t *testing.T) {
	t.Parallel()
	fill(t, 100)
}

// BenchmarkConnections has 10,000 connections at one relay with its own limits.
func BenchmarkConnections(b *testing.B) {
	var got filled
	for range b.N {
		got = fill(b, pairsOfBenchmark)
	}
	b.ReportMetric(float64(got.memory)/(2*pairsOfBenchmark), "B/conn")
	b.ReportMetric(float64(got.resident)/(2*pairsOfBenchmark), "resident-B/conn")
	b.ReportMetric(float64(got.cpu.Microseconds())/(2*pairsOfBenchmark), "relay-µs/join")
	slices.Sort(got.took)
	b.ReportMetric(float64(got.took[len(got.took)/2].Microseconds())/1e3, "p50-ms/pair")
	b.ReportMetric(float64(got.took[len(got.took)*99/100].Microseconds())/1e3, "p99-ms/pair")
	b.ReportMetric(got.all.Seconds(), "s-until-all")
}

// filled is what was measured of a relay that is full.
type filled struct {
	memory, resident uint64
	cpu, all         time.Duration
	took             []time.Duration // until both ends of a pair are joined
}

// many are the sessions of many nodes at one relay.
type many struct {
	*process
	dialers, listeners []*identity.Key
}

// fill joins the pairs, checks the limits, and ends all.
func fill(t testing.TB, pairs int) filled {
	t.Helper()
	m := many{process: startProcess(t, config{Sessions: pairs})}
	for range pairs/10 + 1 { // a node may dial in 16 sessions, and be dialled in 256
		m.dialers = append(m.dialers, newKey(t))
	}
	for range pairs/200 + 1 {
		m.listeners = append(m.listeners, newKey(t))
	}
	before := m.ask()
	got := filled{took: make([]time.Duration, pairs)}
	ends, errs := make([][2]net.Conn, pairs), make([]error, pairs)
	defer func() {
		for _, pair := range ends {
			for _, c := range pair {
				if c != nil {
					_ = c.Close()
				}
			}
		}
	}()
	slots := make(chan struct{}, 32) // of 256 places at the door
	began := time.Now()
	var wg sync.WaitGroup
	for i := range pairs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			ends[i], errs[i] = m.pair(i)
			got.took[i] = time.Since(began)
		})
	}
	wg.Wait()
	got.all = time.Since(began)
	for i, err := range errs {
		if err != nil {
			t.Fatalf("pair %d of %d: %v", i+1, pairs, err)
		}
	}
	after := m.ask()
	got.memory, got.resident, got.cpu = after.Memory-before.Memory, after.Resident-before.Resident, after.CPU-before.CPU
	m.checkFull(t, ends)
	m.checkSource(t)
	return got
}

// checkFull wants the next session refused until another one ends, and the others to go on.
func (m many) checkFull(t testing.TB, ends [][2]net.Conn) {
	t.Helper()
	next := len(ends)
	waiting, status, err := m.enter(next, relay.RoleListener)
	if err != nil || status != relay.Waiting {
		t.Fatalf("a place at a full relay: got %v (%v), want %v", status, err, relay.Waiting)
	}
	defer waiting.Close()
	d, status, err := m.enter(next, relay.RoleDialer)
	if want := relay.Refuse(proto.Busy); err != nil || status != want {
		t.Fatalf("session %d of %d: got %v (%v), want %v", next+1, next, status, err, want)
	}
	d.Close()
	for i, pair := range ends {
		if err := errors.Join(echo(pair[0], pair[1]), echo(pair[1], pair[0])); err != nil {
			t.Fatalf("pair %d at a full relay: %v", i+1, err)
		}
	}
	ends[0][0].Close()
	ends[0][1].Close()
	until(t, "a session ends and the next one joins", func() bool {
		d, status, err := m.enter(next, relay.RoleDialer)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		return status == relay.Joined
	})
}

// checkSource wants that one source can't join without end. Its connections are nobody
// else's loss.
func (m many) checkSource(t testing.TB) {
	t.Helper()
	for i := range 1000 {
		c, err := dialLocal(m.addr, net.IPv4(127, 9, 9, 9)) // which a reset may end
		if err == nil {
			_, err = c.Write(relay.AppendGreeting(nil, "no permit"))
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			c.Close()
		}
		if err == nil {
			continue
		}
		if i < 30 {
			t.Errorf("join %d of a source: %v, want a refusal of the permit", i+1, err)
		}
		return
	}
	t.Error("1,000 joins of one source were taken")
}

// pair joins the ends of the i-th session, and returns the dialer's first.
func (m many) pair(i int) (ends [2]net.Conn, err error) {
	var got relay.Status
	if ends[1], got, err = m.enter(i, relay.RoleListener); err != nil || got != relay.Waiting {
		return ends, fmt.Errorf("the listener: %v (%w)", got, err)
	}
	if ends[0], got, err = m.enter(i, relay.RoleDialer); err != nil || got != relay.Joined {
		return ends, fmt.Errorf("the dialer: %v (%w)", got, err)
	}
	for got = relay.Waiting; got == relay.Waiting && err == nil; { // which is said again every 15 s
		got, err = status(ends[1])
	}
	if err != nil || got != relay.Joined {
		return ends, fmt.Errorf("the listener, when the dialer was there: %v (%w)", got, err)
	}
	return ends, nil
}

// enter passes the plain door for one end of the i-th session, and returns the first status.
// Twenty connections have an address: the relay limits the joins of one.
func (m many) enter(i int, role relay.Role) (c net.Conn, got relay.Status, err error) {
	p := relay.Permit{
		Kind: relay.KindLink, Role: role, Relay: relayName, Expires: time.Now().Add(relay.PermitLife).Truncate(time.Second),
	}
	binary.BigEndian.PutUint32(p.Session[:], uint32(i)+1)
	own, peer := m.dialers[i/10%len(m.dialers)], m.listeners[i/200%len(m.listeners)]
	if role == relay.RoleListener {
		own, peer = peer, own
	}
	p.Node, p.Peer = own.ID(), peer.ID()
	text, err := p.Sign(m.hub)
	if err != nil {
		return nil, 0, err
	}
	source := 1 + i/10
	if c, err = dialLocal(m.addr, net.IPv4(127, 3, byte(source>>8), byte(source))); err != nil {
		return nil, 0, err
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	challenge := make([]byte, relay.ChallengeBytes)
	_, err = c.Write(relay.AppendGreeting(nil, text))
	if err == nil {
		_, err = io.ReadFull(c, challenge)
	}
	if err == nil {
		_, err = c.Write(relay.SignDoor(own, relayName, text, challenge))
	}
	if err == nil {
		got, err = status(c)
	}
	if err != nil {
		c.Close()
		return nil, 0, err
	}
	return c, got, nil
}

func dialLocal(addr string, from net.IP) (net.Conn, error) {
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", addr)
}

func status(c net.Conn) (relay.Status, error) {
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return relay.Status(b[0]), err
}

// echo wants what one end sends at the other one.
func echo(from, to net.Conn) error {
	sent, got := identity.ID{1, 2, 3}, identity.ID{}
	if _, err := from.Write(sent[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(to, got[:]); err != nil {
		return err
	}
	if got != sent {
		return fmt.Errorf("got %x, want %x", got, sent)
	}
	return nil
}
