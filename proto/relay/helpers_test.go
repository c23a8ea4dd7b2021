package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"mesh/proto/identity"
	"mesh/proto/relay"
)

// relayName is what the permits of tests call the relay.
const relayName = "relay.example:443"

// rig is a relay on a loopback port, and the two nodes that may join it.
type rig struct {
	t                     testing.TB
	hub, dialer, listener *identity.Key
	addr                  string
	from                  string // the address that nodes connect from
	log                   *lines

	options relay.Options
	limits  relay.Limits
	mu      sync.Mutex // guards server
	server  *relay.Server
}

// start starts a relay. It has no limit of joins but for those in limits.
func start(t testing.TB, o relay.Options, limits relay.Limits) *rig {
	t.Helper()
	r := &rig{t: t, hub: newKey(t), dialer: newKey(t), listener: newKey(t), from: "127.0.0.1", log: &lines{}, limits: limits}
	o.Hub, o.Name, o.Log = r.hub.ID(), relayName, slog.New(slog.NewTextHandler(r.log, nil))
	r.options = o
	if r.limits.SourceBurst == 0 {
		r.limits.SourceBurst = 1 << 20
	}
	if r.limits.SessionBurst == 0 {
		r.limits.SessionBurst = 1 << 20
	}
	r.newServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			s := r.server
			r.mu.Unlock()
			wg.Go(func() { s.ServePlain(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.kill()
		wg.Wait()
	})
	return r
}

func (r *rig) newServer() {
	s := relay.NewServer(r.options)
	relay.SetLimits(s, r.limits)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = s
}

// kill ends the relay without waiting for its pairs.
func (r *rig) kill() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	r.server.Drain(ended)
}

// restart puts a new relay in the place of the old one.
func (r *rig) restart() {
	old := r.server
	r.newServer()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	old.Drain(ended)
}

// lines is a log that may be written by several goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

// permit returns the permit of one end of a session, which a change may alter.
func (r *rig) permit(session byte, role relay.Role, change func(*relay.Permit)) string {
	r.t.Helper()
	p := relay.Permit{
		Kind: relay.KindLink, Session: [16]byte{session}, Node: r.dialer.ID(), Peer: r.listener.ID(), Role: role,
		Relay: relayName, Expires: time.Now().Add(relay.PermitLife).Truncate(time.Second),
	}
	if role == relay.RoleListener {
		p.Node, p.Peer = p.Peer, p.Node
	}
	if change != nil {
		change(&p)
	}
	text, err := p.Sign(r.hub)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// key returns the key of the node with a role.
func (r *rig) key(role relay.Role) *identity.Key {
	if role == relay.RoleDialer {
		return r.dialer
	}
	return r.listener
}

// open passes the plain door, and returns the connection before the first status.
func (r *rig) open(key *identity.Key, permit string) net.Conn {
	r.t.Helper()
	c := dialFrom(r.t, r.addr, r.from)
	challenge := make([]byte, relay.ChallengeBytes)
	if _, err := c.Write(relay.AppendGreeting(nil, permit)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.ReadFull(c, challenge); err != nil {
		r.t.Fatalf("challenge: %v", err)
	}
	if _, err := c.Write(relay.SignDoor(key, relayName, permit, challenge)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// place opens a connection for a role and wants its first status.
func (r *rig) place(session byte, role relay.Role, want relay.Status) net.Conn {
	r.t.Helper()
	c := r.open(r.key(role), r.permit(session, role, nil))
	wantStatus(r.t, c, want)
	return c
}

// pair returns two ends that are joined, the dialer's first.
func (r *rig) pair(session byte) (dialer, listener net.Conn) {
	r.t.Helper()
	listener = r.place(session, relay.RoleListener, relay.Waiting)
	dialer = r.place(session, relay.RoleDialer, relay.Joined)
	wantStatus(r.t, listener, relay.Joined)
	return dialer, listener
}

func wantStatus(t testing.TB, c net.Conn, want relay.Status) {
	t.Helper()
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil || relay.Status(b[0]) != want {
		t.Fatalf("status: got %v (%v), want %v", relay.Status(b[0]), err, want)
	}
}

// wantEnd wants the other end of c to have gone as it should: cleanly (io.EOF) or not.
func wantEnd(t testing.TB, what string, c io.Reader, clean bool) {
	t.Helper()
	n, err := io.Copy(io.Discard, c)
	if (err == nil) != clean {
		t.Errorf("%s: got %v after %d bytes, want a clean end: %v", what, err, n, clean)
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Errorf("%s: got no end at all: %v", what, err)
	}
}

// until waits until cond holds.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not so after 20 s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}
