package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// A fifth place of one end takes the place of the oldest one, which says nothing about
// the end of that node's process.
func TestPlacesOfSession(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	var places []net.Conn
	for range 5 {
		places = append(places, r.place(1, relay.RoleListener, relay.Waiting))
	}
	wantEnd(t, "the oldest place", places[0], true)
	for _, l := range slices.Backward(places[1:]) {
		r.place(1, relay.RoleDialer, relay.Joined)
		wantStatus(t, l, relay.Joined) // the newest first: the others may be of a network that is gone
	}
	if n := r.server.Stats(); n.Pairs != 4 || n.Waiting != 0 {
		t.Errorf("got %d pairs and %d places, want 4 and none", n.Pairs, n.Waiting)
	}
	// A fifth pair waits for the end of another one.
	l, d := r.place(1, relay.RoleListener, relay.Waiting), r.place(1, relay.RoleDialer, relay.Waiting)
	if n := r.server.Stats(); n.Pairs != 4 || n.Waiting != 2 {
		t.Errorf("got %d pairs and %d places, want 4 and 2", n.Pairs, n.Waiting)
	}
	_ = places[1].(*net.TCPConn).SetLinger(0)
	places[1].Close()
	wantStatus(t, l, relay.Joined)
	wantStatus(t, d, relay.Joined)
}

// Places and pairs have limits. Who comes too late is told that the relay is busy.
func TestCountLimits(t *testing.T) {
	t.Parallel()
	busy := relay.Refuse(proto.Busy)
	for _, tt := range []struct {
		what   string
		limits relay.Limits
		run    func(t *testing.T, r *rig)
	}{
		{"places", relay.Limits{Places: 2}, func(_ *testing.T, r *rig) {
			r.place(1, relay.RoleListener, relay.Waiting)
			r.place(2, relay.RoleDialer, relay.Waiting)
			r.place(3, relay.RoleListener, busy)
			r.place(1, relay.RoleDialer, relay.Joined) // it needs no place
			r.place(3, relay.RoleListener, relay.Waiting)
		}},
		{"places of a node", relay.Limits{PlacesOfNode: 2}, func(_ *testing.T, r *rig) {
			r.place(1, relay.RoleListener, relay.Waiting)
			r.place(2, relay.RoleListener, relay.Waiting)
			r.place(3, relay.RoleListener, busy)
			r.place(3, relay.RoleDialer, relay.Waiting)
		}},
		{"sessions", relay.Limits{Sessions: 1}, func(_ *testing.T, r *rig) {
			r.pair(1)
			r.pair(1)
			r.place(2, relay.RoleListener, relay.Waiting)
			r.place(2, relay.RoleDialer, busy)
		}},
		{"sessions of a dialer", relay.Limits{OfDialer: 1}, func(t *testing.T, r *rig) {
			d, l := r.pair(1)
			r.place(2, relay.RoleListener, relay.Waiting)
			r.place(2, relay.RoleDialer, busy)
			d.Close()
			l.Close()
			until(t, "no pair", func() bool { return r.server.Stats().Pairs == 0 })
			r.place(2, relay.RoleDialer, relay.Joined)
		}},
		{"sessions of a listener", relay.Limits{OfListener: 1}, func(_ *testing.T, r *rig) {
			r.pair(1)
			r.place(2, relay.RoleListener, relay.Waiting)
			r.place(2, relay.RoleDialer, busy)
		}},
		{"joins of a session", relay.Limits{SessionBurst: 2}, func(t *testing.T, r *rig) {
			for i := range 10 {
				c := r.open(r.dialer, r.permit(1, relay.RoleDialer, nil))
				var b [1]byte
				if _, err := io.ReadFull(c, b[:]); err == nil && relay.Status(b[0]) == busy {
					break
				} else if i == 9 {
					t.Errorf("after %d joins at once: got %v (%v)", i+1, relay.Status(b[0]), err)
				}
			}
			r.pair(2)
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			r := start(t, relay.Options{}, tt.limits)
			tt.run(t, r)
		})
	}
}

// Strangers fill neither the door nor the memory: each has some bytes and some seconds, a
// source has some connections, and others still get in.
func TestStrangers(t *testing.T) {
	t.Parallel()
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		r := start(t, relay.Options{}, relay.Limits{DoorTimeout: 100 * time.Millisecond})
		permit := r.permit(1, relay.RoleDialer, nil)
		greeting := relay.AppendGreeting(nil, permit)
		for _, n := range []int{0, 1, len(relay.Magic), len(greeting) - 1, len(greeting)} {
			c := dialFrom(t, r.addr, "127.0.0.1")
			_, _ = c.Write(greeting[:n])
			b, err := io.ReadAll(c)
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Errorf("after %d bytes: the connection is still there", n)
			}
			if want := relay.ChallengeBytes; n < len(greeting) && len(b) != 0 || len(b) > want {
				t.Errorf("after %d bytes: got %d bytes", n, len(b))
			}
		}
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		r := start(t, relay.Options{}, relay.Limits{HalfOpenOfSource: 4})
		var held []net.Conn
		for range 100 {
			held = append(held, dialFrom(t, r.addr, "127.0.0.1"))
		}
		var ended atomic.Int64
		for _, c := range held {
			go func() {
				_, _ = c.Read(make([]byte, 1))
				ended.Add(1)
			}()
		}
		until(t, "all but four have ended", func() bool { return ended.Load() >= 96 })
		if n := ended.Load(); n != 96 {
			t.Errorf("%d of 100 connections of a source have ended, want 96", n)
		}
		r.from = "127.0.0.2"
		r.pair(1)
	})
	t.Run("often", func(t *testing.T) {
		t.Parallel()
		r := start(t, relay.Options{}, relay.Limits{SourceBurst: 3})
		r.place(1, relay.RoleListener, relay.Waiting)
		r.place(1, relay.RoleListener, relay.Waiting)
		r.place(1, relay.RoleListener, relay.Waiting)
		refused := 0
		var many []net.Conn
		for range 20 {
			many = append(many, dialFrom(t, r.addr, "127.0.0.1"))
		}
		for _, c := range many {
			_, _ = c.Write(relay.AppendGreeting(nil, "p"))
			if b, _ := io.ReadAll(c); len(b) == 0 {
				refused++
			}
		}
		if refused < 10 {
			t.Errorf("%d of 20 connections of a source were closed, want most", refused)
		}
		r.from = "127.0.0.2"
		r.place(1, relay.RoleDialer, relay.Joined)
	})
	t.Run("full door", func(t *testing.T) {
		t.Parallel()
		r := start(t, relay.Options{}, relay.Limits{HalfOpen: 2, DoorTimeout: 30 * time.Second})
		first := dialFrom(t, r.addr, "127.0.0.3")
		until(t, "one at the door", func() bool { return relay.HalfOpen(r.server) == 1 })
		dialFrom(t, r.addr, "127.0.0.4")
		until(t, "two at the door", func() bool { return relay.HalfOpen(r.server) == 2 })
		wantEnd(t, "one too many", dialFrom(t, r.addr, "127.0.0.5"), false)
		<-time.After(1100 * time.Millisecond) // then the oldest has had its time
		r.pair(1)
		wantEnd(t, "the oldest", first, false)
	})
	t.Run("early", func(t *testing.T) {
		t.Parallel()
		r := start(t, relay.Options{}, relay.Limits{})
		c := r.place(1, relay.RoleListener, relay.Waiting)
		_, _ = c.Write([]byte("x"))
		wantStatus(t, c, relay.Refuse(proto.Protocol))
		until(t, "no place", func() bool { return r.server.Stats().Waiting == 0 })
		r.place(1, relay.RoleDialer, relay.Waiting)
	})
}

// Two permits are joined only if session, dialer and listener agree and the roles differ.
func TestMeetings(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	r.place(1, relay.RoleListener, relay.Waiting)
	r.place(1, relay.RoleListener, relay.Waiting) // a role twice
	r.place(2, relay.RoleDialer, relay.Waiting)   // another session
	mallory := newKey(t)
	for what, p := range map[string]relay.Permit{
		"another dialer":   {Node: mallory.ID(), Peer: r.listener.ID(), Role: relay.RoleDialer},
		"another listener": {Node: mallory.ID(), Peer: r.dialer.ID(), Role: relay.RoleListener},
		"roles changed":    {Node: r.listener.ID(), Peer: r.dialer.ID(), Role: relay.RoleDialer},
	} {
		p.Kind, p.Session, p.Relay, p.Expires = relay.KindLink, [16]byte{1}, relayName, time.Now().Add(time.Hour)
		key := map[identity.ID]*identity.Key{mallory.ID(): mallory, r.listener.ID(): r.listener}[p.Node]
		c := r.open(key, sign(t, p, r.hub))
		t.Log(what)
		wantStatus(t, c, relay.Waiting)
	}
	r.place(1, relay.RoleDialer, relay.Joined)
}

// A session that has used up its bytes is reset and refused.
func TestBytes(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct{ relay, permit, want uint64 }{
		"relay": {300 << 10, 0, 300 << 10}, "permit": {0, 100<<10 + 1, 100<<10 + 1}, "both": {300 << 10, 200 << 10, 200 << 10},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := start(t, relay.Options{Bytes: tt.relay}, relay.Limits{})
			permit := func(role relay.Role) string {
				return r.permit(1, role, func(p *relay.Permit) { p.Bytes = tt.permit })
			}
			l := r.open(r.listener, permit(relay.RoleListener))
			wantStatus(t, l, relay.Waiting)
			d := r.open(r.dialer, permit(relay.RoleDialer))
			wantStatus(t, d, relay.Joined)
			wantStatus(t, l, relay.Joined)
			go func() { _, _ = d.Write(make([]byte, 1<<20)) }()
			_, err := io.Copy(io.Discard, l)
			if got := r.server.Stats().Bytes[relay.DoorTCP]; err == nil || got != tt.want {
				t.Errorf("moved %d bytes (%v), want %d and a reset", got, err, tt.want)
			}
			until(t, "no pair", func() bool { return r.server.Stats().Pairs == 0 })
			wantStatus(t, r.open(r.dialer, permit(relay.RoleDialer)), relay.Refuse(proto.Busy))
			_, err = (&relay.Client{Key: r.dialer}).Join(t.Context(), []relay.Entry{{URL: "tcp://" + r.addr, Permit: permit(relay.RoleDialer)}}, nil)
			xtest.WantCode(t, "Join", err, proto.Busy)
			r.pair(2)
		})
	}
}

// A pair in which nothing moves is reset; one in which little moves is not.
func TestIdle(t *testing.T) {
	t.Parallel()
	const idle = time.Second
	d := startDoors(t, relay.Options{}, relay.Limits{Idle: idle})
	a, b := d.pair(1, relay.DoorTCP, relay.DoorWSS)
	began := time.Now()
	wantEnd(t, "idle dialer", a, false)
	wantEnd(t, "idle listener", b, false)
	if took := time.Since(began); took < idle/2 {
		t.Errorf("idle for %v, want %v", took, idle)
	}
	a, b = d.pair(2, relay.DoorTCP, relay.DoorWSS)
	for range 10 {
		send(t, a, b, []byte("x"))
		<-time.After(idle / 5)
	}
}

// The rate of a session is for both directions and all its pairs together.
func TestRate(t *testing.T) {
	t.Parallel()
	mixes(t, func(t *testing.T, a, b string) {
		d := startDoors(t, relay.Options{Rate: 2 << 20}, relay.Limits{})
		began := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			x, y := d.pair(1, a, b)
			wg.Go(func() { send(t, x, y, make([]byte, 512<<10)) })
			wg.Go(func() { send(t, y, x, make([]byte, 512<<10)) })
		}
		wg.Wait()
		took := time.Since(began)
		if took < 900*time.Millisecond {
			t.Errorf("2 MiB at 2 MiB/s took %v", took)
		}
		if n := d.server.Stats(); n.LimitedSession == 0 || n.LimitedTotal != 0 {
			t.Errorf("limited for %v and %v, want some time by the session's rate alone", n.LimitedSession, n.LimitedTotal)
		}
	})
}

// Ten sessions share the total rate: each gets a tenth, also one with four pairs that are
// busy in both directions, and one by WebSocket.
func TestTotal(t *testing.T) {
	t.Parallel()
	const sessions, bytes = 10, 12 << 20
	d := startDoors(t, relay.Options{Total: 4 << 20}, relay.Limits{})
	var got [sessions]atomic.Int64
	var sum atomic.Int64
	enough := make(chan struct{})
	begin := make(chan struct{})
	var wg sync.WaitGroup
	pump := func(i int, from, to net.Conn) {
		wg.Go(func() {
			<-begin
			for buf := make([]byte, 64<<10); ; {
				if _, err := from.Write(buf); err != nil {
					return
				}
			}
		})
		wg.Go(func() {
			for buf := make([]byte, 64<<10); ; {
				n, err := to.Read(buf)
				if err != nil {
					return
				}
				if sum.Load() >= bytes {
					continue
				}
				got[i].Add(int64(n))
				if s := sum.Add(int64(n)); s >= bytes && s-int64(n) < bytes {
					close(enough)
				}
			}
		})
	}
	var ends []net.Conn
	for i := range sessions {
		door := relay.DoorTCP
		if i == 1 {
			door = relay.DoorWSS
		}
		pairs := 1
		if i == 0 {
			pairs = 4
		}
		for range pairs {
			a, b := d.doors(byte(i+1), door)
			ends = append(ends, a, b)
			pump(i, a, b)
			if i == 0 {
				pump(i, b, a)
			}
		}
	}
	began := time.Now()
	close(begin)
	<-enough
	took := time.Since(began)
	for _, c := range ends {
		_ = c.(interface{ SetLinger(int) error }).SetLinger(0)
		c.Close()
	}
	wg.Wait()
	for i := range got {
		if n := got[i].Load(); n < bytes/sessions*8/10 || n > bytes/sessions*12/10 {
			t.Errorf("session %d got %d bytes of %d, want a tenth", i, n, bytes)
		}
	}
	if took < 2700*time.Millisecond {
		t.Errorf("12 MiB at 4 MiB/s took %v", took)
	}
}

// doors returns two ends by one door.
func (d *doors) doors(session byte, door string) (a, b net.Conn) {
	x, y := d.pair(session, door, door)
	return x, y
}

// Drain tells the places, lets the pairs end, and takes nobody any more.
func TestDrain(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	told, joined := d.place(relay.DoorWSS, 2, relay.RoleListener)
	want(t, told, relay.Waiting)
	a, b := d.pair(1, relay.DoorTCP, relay.DoorTCP)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		d.server.Drain(t.Context())
	}()
	want(t, told, relay.Draining)
	if c := <-joined; c != nil {
		t.Error("a place was joined while the relay drains")
	}
	d.rig.place(1, relay.RoleListener, relay.Draining)
	_, err := d.client(relay.RoleDialer).Join(t.Context(), []relay.Entry{d.entry(relay.DoorWSS, 3, relay.RoleDialer)}, nil)
	xtest.WantCode(t, "Join while it drains", err, proto.Unreachable)
	send(t, a, b, xtest.Random(1<<20))
	select {
	case <-drained:
		t.Error("the relay has ended before its pairs")
	default:
	}
	a.Close()
	b.Close()
	<-drained
}

// When its time is over, a drain resets the pairs, and neither end takes that for the end
// of the other's process.
func TestDrainTime(t *testing.T) {
	t.Parallel()
	mixes(t, func(t *testing.T, x, y string) {
		d := startDoors(t, relay.Options{}, relay.Limits{})
		a, b := d.pair(1, x, y)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		d.server.Drain(ended)
		wantEnd(t, "dialer", a, false)
		wantEnd(t, "listener", b, false)
		if n := d.server.Stats(); n.Pairs != 0 || n.Waiting != 0 {
			t.Errorf("got %d pairs and %d places after the drain", n.Pairs, n.Waiting)
		}
	})
}

// A relay that was restarted remembers nothing: it says that the other end is not there,
// and not that it has left.
func TestRestart(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	d, l := r.pair(1)
	r.restart()
	wantEnd(t, "dialer", d, false)
	wantEnd(t, "listener", l, false)
	d, l = r.pair(1)
	send(t, d, l, xtest.Random(1<<20))
}

// endedConn is a connection that has ended before it was made.
type endedConn struct {
	net.Conn
	err error
}

func (c endedConn) Read([]byte) (int, error)  { return 0, c.err }
func (c endedConn) Write([]byte) (int, error) { return 0, c.err }
func (c endedConn) Close() error              { return nil }

// dialFrom connects from a loopback address. A connection that was reset at once is one that
// has ended.
func dialFrom(t testing.TB, addr, from string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return endedConn{err: err}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		t.Skipf("no second loopback address here: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}
