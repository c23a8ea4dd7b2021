package relay_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// A probe reaches both doors, takes no place, and tells a relay from another server.
func TestProbe(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	c := d.client(relay.RoleDialer)
	for _, url := range []string{"tcp://" + d.addr, d.web} {
		took, err := c.Probe(t.Context(), relay.Entry{URL: url})
		if err != nil || took <= 0 {
			t.Errorf("%s: got %s, %v, want a time", url, took, err)
		}
	}
	if n := d.server.Stats().Waiting; n != 0 {
		t.Errorf("got %d places, want none", n)
	}
	for what, tt := range map[string]struct{ url, want string }{
		"no address":             {"tcp://", "not the URL of a relay"},
		"another scheme":         {"https://" + d.addr, "neither tcp:// nor wss://"},
		"nobody":                 {"tcp://127.0.0.1:1", "refused"},
		"one that says nothing":  {"tcp://" + answering(t, nil), "closed the connection"},
		"one that welcomes all":  {"tcp://" + answering(t, append(make([]byte, relay.ChallengeBytes), byte(relay.Waiting))), "gives a place to anybody"},
		"one that is no relay":   {"tcp://" + answering(t, []byte("HTTP/1.1 400 Bad Request\r\n")), "status 32"},
		"a page of a web server": {strings.TrimSuffix(d.web, relay.PathWebSocket) + "/other", "HTTP status 404"},
	} {
		_, err := c.Probe(t.Context(), relay.Entry{URL: tt.url})
		xtest.WantCode(t, what, err, proto.Unreachable)
		if err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want %q in it", what, err, tt.want)
		}
	}
}

// answering is a server that writes an answer to the greeting of each connection, and ends
// it after the signature, or at once if the answer is empty. It returns its address.
func answering(t *testing.T, answer []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := relay.ReadGreeting(c); err == nil && len(answer) > 0 {
					_, _ = c.Write(answer)
					_, _ = io.CopyN(io.Discard, c, 64)
				}
			}()
		}
	}()
	return l.Addr().String()
}
