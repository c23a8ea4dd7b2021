package link_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// silent makes connections from one host that send nothing.
func silent(t *testing.T, tr *quic.Transport, s *site, count int) []*quic.Conn {
	t.Helper()
	conf := tlsConf(certificate(t, xtest.NewKey(t)))
	conns := make([]*quic.Conn, count)
	for begin := 0; begin < count; begin += 4 { // quic-go answers at most 8 packets at once with Retry
		var wg sync.WaitGroup
		for i := begin; i < min(begin+4, count); i++ {
			wg.Go(func() {
				var err error
				if conns[i], err = tr.Dial(t.Context(), s.endpoint.Addr(), conf, rawConf()); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	}
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// givenUp returns how many connections the listener has closed as one too many.
func givenUp(t *testing.T, conns []*quic.Conn) (n int) {
	t.Helper()
	for _, conn := range conns {
		if conn.Context().Err() != nil {
			wantClosed(t, conn, time.Second, proto.Busy)
			n++
		}
	}
	return n
}

// isRetry reports whether p is a Retry packet (RFC 9000, section 17.2.5).
func isRetry(p linktest.Packet) bool { return len(p.Data) > 0 && p.Data[0]&0xf0 == 0xf0 }

// Half-open connections of some hosts keep no other host out, and do not disturb links.
func TestTooManyHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var retries atomic.Int32
		n := &linktest.Net{Latency: latency, Pass: func(p linktest.Packet) bool {
			if isRetry(p) {
				retries.Add(1)
			}
			return true
		}}
		s := newSite(t, n, proto.AllCaps, 3)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		first, _ := n.Endpoint(t)
		dl, ll := s.dial(t, first, cred, proto.CapSend)

		one, two, three := transport(t, n), transport(t, n), transport(t, n)
		conns := silent(t, one, s, proto.RetryHalfOpen)
		if got := retries.Load(); got != 0 {
			t.Errorf("%d addresses validated among the first %d, want none", got, proto.RetryHalfOpen)
		}
		conns = append(conns, silent(t, one, s, proto.MaxHalfOpenPerSource-proto.RetryHalfOpen)...)
		if got := retries.Load(); got < proto.MaxHalfOpenPerSource-proto.RetryHalfOpen {
			t.Errorf("%d addresses validated, want all from the %dnd on", got, proto.RetryHalfOpen)
		}
		// One more from that host ends its oldest one, and no other.
		conns = append(conns, silent(t, one, s, 1)...)
		<-time.After(100 * time.Millisecond)
		if got := givenUp(t, conns); got != 1 {
			t.Errorf("%d of the host's connections given up, want 1", got)
		}
		second, _ := n.Endpoint(t)
		dl2, ll2 := s.dial(t, second, cred, proto.CapSend)
		echo(t, dl2, ll2)

		// One more from any host ends the oldest one of the host that has the most.
		others := silent(t, two, s, proto.MaxHalfOpen-proto.MaxHalfOpenPerSource-10)
		others = append(others, silent(t, three, s, 12)...)
		<-time.After(100 * time.Millisecond)
		if got, gotOthers := givenUp(t, conns), givenUp(t, others); got != 3 || gotOthers != 0 {
			t.Errorf("%d of the host's connections and %d of others given up, want 3 and 0", got, gotOthers)
		}
		third, _ := n.Endpoint(t)
		dl3, ll3 := s.dial(t, third, cred, proto.CapSend)
		echo(t, dl3, ll3)
		for _, conn := range append(conns, others...) {
			wantClosed(t, conn, proto.HelloTimeout+time.Second, proto.Timeout, proto.Busy)
		}
		echo(t, dl, ll)
	})
}

// Authenticated links do not count as half-open, however many there are.
func TestLinksAreNotHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency}
		s := newSite(t, n, proto.AllCaps, proto.MaxHalfOpenPerSource+2)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		for range proto.MaxHalfOpenPerSource + 1 {
			s.dial(t, e, cred, proto.CapSend)
		}
		other, _ := n.Endpoint(t)
		s.dial(t, other, cred, proto.CapSend)
	})
}

// Packets with forged source addresses take few places: from the 32nd on, the address
// must answer a Retry first.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var forged sync.Map // addresses that hear nothing
		n := &linktest.Net{Latency: latency, Pass: func(p linktest.Packet) bool {
			_, deaf := forged.Load(p.To.String())
			return !deaf
		}}
		s := newSite(t, n, proto.AllCaps, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			tr := transport(t, n)
			forged.Store(tr.Conn.LocalAddr().String(), true)
			conf := tlsConf(certificate(t, xtest.NewKey(t)))
			for range proto.MaxHalfOpenPerSource {
				wg.Go(func() {
					if _, err := tr.Dial(ctx, s.endpoint.Addr(), conf, rawConf()); err == nil {
						t.Error("connected, want no answer")
					}
				})
			}
		}
		<-time.After(time.Second)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		echo(t, dl, ll)
		cancel()
		wg.Wait()
	})
}
