package relay_test

import (
	"fmt"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/relay"
)

// The log has one line for a session, once neither end has a connection any more. It
// names the nodes, the doors and the bytes, and no address.
func TestLog(t *testing.T) {
	t.Parallel()
	r := start(t, relay.Options{}, relay.Limits{})
	r.place(2, relay.RoleListener, relay.Waiting).Close() // without a pair there is no line
	for _, session := range []byte{1, 3} {                // two pairs, one after the other, while the listener has a place
		d, l := r.pair(session)
		spare := r.place(session, relay.RoleListener, relay.Waiting)
		send(t, d, l, make([]byte, 1000))
		send(t, l, d, make([]byte, 50))
		d.Close()
		l.Close()
		until(t, "no pair", func() bool { return r.server.Stats().Pairs == 0 })
		if text := r.log.String(); text != "" {
			t.Errorf("logged while the session has a place:\n%s", text)
		}
		wantStatus(t, spare, relay.Left)
		d = r.place(session, relay.RoleDialer, relay.Joined)
		wantStatus(t, spare, relay.Joined)
		send(t, d, spare, make([]byte, 7))
		d.Close()
		spare.Close()
		until(t, "a line", func() bool { return strings.Contains(r.log.String(), "\n") })
		text := r.log.String()
		for _, part := range []string{
			fmt.Sprintf("session=%x", [16]byte{session}), "dialer=" + r.dialer.ID().String(), "listener=" + r.listener.ID().String(),
			"dialer_door=tcp", "listener_door=tcp", "dialer_bytes=1007", "listener_bytes=50", "seconds=",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("the log lacks %s:\n%s", part, text)
			}
		}
		if strings.Contains(text, "127.0.0.1") || strings.Count(text, "\n") != 1 {
			t.Errorf("want one line without an address:\n%s", text)
		}
		r.log.reset()
	}
	n := r.server.Stats()
	if n.Sessions != 2 || n.SessionTime <= 0 {
		t.Errorf("counted %d sessions of %v together, want 2", n.Sessions, n.SessionTime)
	}
	if ok, want := n.Joins[relay.Join{Door: relay.DoorTCP, Result: proto.OK.String()}], uint64(9); ok != want {
		t.Errorf("counted %d joins, want %d", ok, want)
	}
}
