package agent_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/xtest"
)

// client is the hub's side of a connection, which notes the types of the events that come.
type client struct {
	ws    *websocket.Conn
	types []string
	last  hub.Event
}

// read reads the next event, and reports whether there was one.
func (c *client) read() bool {
	_, text, err := c.ws.Read(context.Background())
	if err != nil {
		return false
	}
	if c.last, err = hub.Decode(text, hub.MaxEventBytes); err == nil {
		c.types = append(c.types, c.last.Type)
	}
	return err == nil
}

// ok answers the last event.
func (c *client) ok() {
	if text, err := (hub.Event{Type: hub.TypeOK, Ref: c.last.ID}).Encode(); err == nil {
		_ = c.ws.Write(context.Background(), websocket.MessageText, text)
	}
}

// decline answers a request, and declines it.
func (c *client) decline() {
	var r hub.Request
	_ = c.last.Read(&r)
	c.ok()
	send(c.ws, hub.TypeDeclined, &hub.Declined{Session: r.Session, Code: hub.CodeBusy})
}

// A request that waits for the login is sent behind the hello, and only once: the hub has it
// before it sends its welcome. Where names are registered, these come first. A login that is
// refused is the error of the request.
func TestRequestBesideHello(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		registers     []hub.Register
		before, after func(*client)
		want          proto.Code
		login         bool // the error is that of the login
		types         []string
	}{
		"welcome": {
			before: func(c *client) { c.read() }, after: (*client).decline,
			want: proto.Busy, types: []string{hub.TypeRequest},
		},
		"no member": {
			before: func(c *client) {
				c.read()
				_ = c.ws.Close(hub.CloseNoMember, "no member")
			},
			want: proto.Denied, login: true, types: []string{hub.TypeRequest},
		},
		"registers": {
			registers: []hub.Register{{Kinds: []hub.Kind{hub.KindPipe}}},
			after: func(c *client) {
				c.read()
				c.ok()
				c.read()
				c.decline()
			},
			want: proto.Busy, types: []string{hub.TypeRegister, hub.TypeRequest},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openProofHub(t, func(b []byte) []byte { return b })
			c, over := &client{}, make(chan struct{})
			h.before = func(ws *websocket.Conn) {
				c.ws = ws
				if tt.before != nil {
					tt.before(c)
				}
			}
			h.after = func(*websocket.Conn) {
				if tt.after != nil {
					tt.after(c)
				}
				for c.read() { // discards the events of the client until it leaves
				}
				close(over)
			}
			a, stop := start(t, hub.URL{TLS: true, Host: h.addr, Key: h.key.ID()}, xtest.NewKey(t), func(a *agent.Agent) { a.Registers = tt.registers })
			_, err := a.Request(t.Context(), agent.Ask{To: "bob", Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody})
			xtest.WantCode(t, "request", err, tt.want)
			if got := errors.Is(err, agent.ErrLogin); got != tt.login {
				t.Errorf("%v: got ErrLogin in the chain %v, want %v", err, got, tt.login)
			}
			stop()
			<-over
			if !slices.Equal(c.types, tt.types) {
				t.Errorf("got events %q, want %q", c.types, tt.types)
			}
		})
	}
}
