package serve_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// hostile is a client that sends what it likes.
type hostile struct {
	t      *testing.T
	ws     *websocket.Conn
	local  string // our address
	login  hub.Login
	node   *identity.Key
	lastID int
}

// insecure accepts any certificate: the tests are about what the hub takes.
func insecure() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

// open connects, over TLS, and reads the challenge.
func (h testHub) open(t *testing.T) *hostile {
	t.Helper()
	return h.openFrom(t, "127.0.0.1")
}

// openFrom is open from an address of loopback.
func (h testHub) openFrom(t *testing.T, from string) *hostile {
	t.Helper()
	nonce := hub.NewNonce(hub.ClientNonceBytes)
	local := ""
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			local = c.LocalAddr().String()
		}
		return c, err
	}
	ws, resp, err := websocket.Dial(t.Context(), "wss://"+h.addr+"/ws?n="+hex.EncodeToString(nonce), &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), DialContext: dial, DisableKeepAlives: true}},
		Subprotocols: []string{hub.Subprotocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	c := &hostile{t: t, ws: ws, local: local, node: newKey(t)}
	challenge := c.wait(hub.TypeChallenge)
	var data hub.Challenge
	if err := challenge.Read(&data); err != nil {
		t.Fatal(err)
	}
	c.login = hub.Login{Origin: "wss://" + h.addr, Hub: data.Hub, ClientNonce: nonce, HubNonce: data.Nonce}
	if c.login.Binding, err = resp.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes); err != nil {
		t.Fatal(err)
	}
	return c
}

// hello returns the hello of a node, as it ought to be.
func (c *hostile) hello(node *identity.Key) *hub.Hello {
	c.node = node
	instance := hub.NewID()
	return &hub.Hello{Node: node.ID(), Binding: c.login.Binding, Sig: c.login.Sign(node, instance), Instance: instance, Agent: "hostile"}
}

// enter logs a member in.
func (h testHub) enter(t *testing.T, node *identity.Key) *hostile {
	t.Helper()
	return h.enterFrom(t, "127.0.0.1", node)
}

// enterFrom is enter from an address of loopback.
func (h testHub) enterFrom(t *testing.T, from string, node *identity.Key) *hostile {
	t.Helper()
	c := h.openFrom(t, from)
	c.send(hub.TypeHello, "", c.hello(node))
	c.wait(hub.TypeWelcome)
	return c
}

func (c *hostile) raw(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// send sends an event whose data need not be valid.
func (c *hostile) send(typ, id string, data any) {
	c.t.Helper()
	text, err := json.Marshal(map[string]any{"type": typ, "id": id, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	c.raw(string(text))
}

// ask sends an event and returns the code of its answer, "" for one that is no error.
func (c *hostile) ask(typ string, data any) string {
	c.t.Helper()
	c.lastID++
	id := fmt.Sprint(c.lastID)
	c.send(typ, id, data)
	for {
		e, err := c.next()
		switch {
		case err != nil:
			c.t.Fatalf("%s: %v", typ, err)
		case e.Ref != id:
			continue
		case e.Type == hub.TypeError:
			var got hub.Error
			if err := e.Read(&got); err != nil {
				c.t.Fatal(err)
			}
			return got.Code
		}
		return ""
	}
}

func (c *hostile) next() (hub.Event, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	_, text, err := c.ws.Read(ctx)
	if err != nil {
		return hub.Event{}, err
	}
	return hub.Decode(text, hub.MaxEventBytes)
}

// wait reads until an event of the type comes.
func (c *hostile) wait(typ string) hub.Event {
	c.t.Helper()
	for {
		e, err := c.next()
		if err != nil {
			c.t.Fatalf("no %s: %v", typ, err)
		}
		if e.Type == typ {
			return e
		}
	}
}

// closed reads until the hub closes the connection, and returns its code.
func (c *hostile) closed() int {
	c.t.Helper()
	code, _ := c.closedWith()
	return code
}

// closedWith is closed, with the reason.
func (c *hostile) closedWith() (code int, reason string) {
	c.t.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[websocket.CloseError](err); ok {
			reason = e.Reason
		}
		return int(websocket.CloseStatus(err)), reason
	}
}

// request returns a request as it ought to be.
func (c *hostile) request(to string) *hub.Request {
	c.t.Helper()
	key, err := hub.NewSealKey()
	if err != nil {
		c.t.Fatal(err)
	}
	r := &hub.Request{Session: hub.NewID(), To: to, Kind: hub.KindPipe, Want: "send", Seal: key.Public()}
	r.Sign(c.node, c.login.Hub)
	return r
}

// again returns the request with another session, signed by this node.
func (c *hostile) again(r *hub.Request) *hub.Request {
	other := *r
	other.Session = hub.NewID()
	other.Sign(c.node, c.login.Hub)
	return &other
}

// dialFrom connects to the hub from an address of loopback.
func (h testHub) dialFrom(t *testing.T, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", h.addr)
	if err != nil {
		t.Skipf("no address %s here: %v", from, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func jsonText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// replaceSession returns the data of an event for a session that nobody has.
func replaceSession(t *testing.T, data any) map[string]any {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	m["session"] = hub.NewID().String()
	return m
}
