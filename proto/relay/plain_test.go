package relay_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

func TestPair(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	d, l := r.pair(1)
	both(t, d, l, xtest.Random(3<<20+1), xtest.Random(1<<20+7))
	until(t, "no pair", func() bool { return r.server.Stats().Pairs == 0 })
	if got, want := r.server.Stats().Bytes[relay.DoorTCP], uint64(4<<20+8); got != want {
		t.Errorf("counted %d bytes, want %d", got, want)
	}
}

// both sends up from d to l and down from l to d at a time, each ended by a half-close,
// and wants both to arrive.
func both(t testing.TB, d, l net.Conn, up, down []byte) {
	t.Helper()
	var wg sync.WaitGroup
	send := func(c net.Conn, data []byte) {
		if _, err := c.Write(data); err != nil {
			t.Errorf("send: %v", err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Errorf("half-close: %v", err)
		}
	}
	wg.Go(func() { send(d, up) })
	wg.Go(func() { send(l, down) })
	take := func(c net.Conn, want []byte) {
		if got, err := io.ReadAll(c); !bytes.Equal(got, want) || err != nil {
			t.Errorf("got %d bytes (%v), want %d", len(got), err, len(want))
		}
	}
	wg.Go(func() { take(l, up) })
	take(d, down)
	wg.Wait()
}

// Each connection that is refused is told so with the right status, and closed.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	other := newKey(t)
	change := func(f func(*relay.Permit)) string { return r.permit(1, relay.RoleDialer, f) }
	foreign := relay.Permit{
		Kind: relay.KindLink, Session: [16]byte{1}, Node: r.dialer.ID(), Peer: r.listener.ID(), Role: relay.RoleDialer, Relay: relayName,
		Expires: time.Now().Add(time.Hour),
	}
	good := change(nil)
	for _, tt := range []struct {
		what   string
		permit string
		key    *identity.Key
		want   proto.Code
	}{
		{"no permit", "x", r.dialer, proto.Protocol},
		{"cut permit", good[:len(good)-1], r.dialer, proto.Protocol},
		{"permit of another hub", sign(t, foreign, other), r.dialer, proto.Denied},
		{"permit for another relay", change(func(p *relay.Permit) { p.Relay = "other.example:443" }), r.dialer, proto.Denied},
		{"old permit", change(func(p *relay.Permit) { p.Expires = time.Now().Add(-relay.DateSlack - 2*time.Second) }), r.dialer, proto.Timeout},
		{"permit of the future", change(func(p *relay.Permit) { p.Expires = time.Now().Add(3 * time.Hour) }), r.dialer, proto.Timeout},
		{"signature of another node", good, other, proto.Denied},
		{"signature of the other end", good, r.listener, proto.Denied},
	} {
		t.Run(tt.what, func(t *testing.T) {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = c.Write(relay.AppendGreeting(nil, tt.permit))
			challenge := make([]byte, relay.ChallengeBytes)
			if n, _ := io.ReadFull(c, challenge); n == len(challenge) {
				_, _ = c.Write(relay.SignDoor(tt.key, relayName, tt.permit, challenge))
				_, _ = io.ReadFull(c, challenge[:1])
			}
			if got := relay.Status(challenge[0]); got != relay.Refuse(tt.want) {
				t.Errorf("got %v, want %v (%v)", got, relay.Refuse(tt.want), tt.want)
			}
			wantEnd(t, "after the refusal", c, true)

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // one that is let in would wait
			defer cancel()
			client := &relay.Client{Key: tt.key}
			_, err = client.Join(ctx, []relay.Entry{{URL: "tcp://" + r.addr, Permit: tt.permit}}, nil)
			xtest.WantCode(t, "Join", err, proto.Unreachable)
		})
	}
	if n := r.server.Stats(); n.Waiting != 0 || n.Pairs != 0 {
		t.Errorf("got %d places and %d pairs, want none", n.Waiting, n.Pairs)
	}
}

// A signature is good for one challenge only.
func TestReplayedSignature(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	permit := r.permit(1, relay.RoleDialer, nil)
	var sigs [2][]byte
	for i := range sigs {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = c.Write(relay.AppendGreeting(nil, permit))
		challenge := make([]byte, relay.ChallengeBytes)
		_, _ = io.ReadFull(c, challenge)
		sigs[i] = relay.SignDoor(r.dialer, relayName, permit, challenge)
		_, _ = c.Write(sigs[0])
		wantStatus(t, c, []relay.Status{relay.Waiting, relay.Refuse(proto.Denied)}[i])
	}
	if bytes.Equal(sigs[0], sigs[1]) {
		t.Error("two challenges have one answer")
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	entries := func(role relay.Role) []relay.Entry {
		return []relay.Entry{{URL: "tcp://" + r.addr, Permit: r.permit(1, role, nil), MaxBPS: 7}}
	}
	told := make(chan relay.Status, 16) // sent by Join
	joined := make(chan *relay.Conn, 1)
	go func() {
		c, err := (&relay.Client{Key: r.listener}).Join(t.Context(), entries(relay.RoleListener), func(s relay.Status) { told <- s })
		if err != nil {
			t.Error(err)
		}
		joined <- c
	}()
	if got := <-told; got != relay.Waiting {
		t.Fatalf("first status: got %v, want waiting", got)
	}
	d, err := (&relay.Client{Key: r.dialer}).Join(t.Context(), entries(relay.RoleDialer), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := <-joined
	if got := <-told; got != relay.Joined || l == nil {
		t.Fatalf("second status: got %v, want joined", got)
	}
	if d.Relay() != r.addr || d.Door() != relay.DoorTCP || d.Proxied() || d.MaxBPS() != 7 || d.RemoteAddr().String() != r.addr {
		t.Errorf("got relay %s, door %s, proxied %v, %d B/s, address %v", d.Relay(), d.Door(), d.Proxied(), d.MaxBPS(), d.RemoteAddr())
	}
	both(t, d, l, xtest.Random(100), xtest.Random(1<<20))
}

func TestJoinFails(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	client := &relay.Client{Key: r.dialer}
	permit := r.permit(1, relay.RoleDialer, nil)
	for what, entries := range map[string][]relay.Entry{
		"no entry":         nil,
		"no URL":           {{URL: "", Permit: permit}},
		"no port":          {{URL: "tcp://127.0.0.1", Permit: permit}},
		"unknown scheme":   {{URL: "ftp://" + r.addr, Permit: permit}},
		"malformed permit": {{URL: "tcp://" + r.addr, Permit: "p"}},
		"nobody there":     {{URL: "tcp://" + closedPort(t), Permit: permit}},
	} {
		_, err := client.Join(t.Context(), entries, nil)
		xtest.WantCode(t, what, err, proto.Unreachable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Join(ctx, []relay.Entry{{URL: "tcp://" + r.addr, Permit: permit}}, func(relay.Status) { cancel() })
	if err != context.Canceled {
		t.Errorf("a place that is given up: got %v, want %v", err, context.Canceled)
	}
	until(t, "the place is free", func() bool { return r.server.Stats().Waiting == 0 })
}

// closedPort returns an address where nothing listens.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
