package hubtest

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// Liar is a hub that alters what it tells. Every node is a member. It listens at a ws
// URL, so its logins name no connection.
type Liar struct {
	*Hub
	// Alter returns what is sent to a node in place of an event. It is set before the
	// first node logs in, and is called with the broker's lock held.
	Alter func(to identity.ID, e hub.Event) []hub.Event
	// Saw, if it is set before the first node logs in, is told what nodes send.
	Saw  func(from identity.ID, e hub.Event)
	http *http.Server
	wg   sync.WaitGroup
}

// OpenLiar starts a liar. Call [Liar.Stop] in the end.
func OpenLiar(alter func(to identity.ID, e hub.Event) []hub.Event) (*Liar, error) {
	h := &Hub{facts: &memory{facts: make(map[string]broker.Fact)}}
	var err error
	if h.Key, err = identity.NewKey(); err != nil {
		return nil, err
	}
	if h.Broker, err = broker.New(h.facts, broker.Options{Hub: h.Key.ID()}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h.addr = l.Addr().String()
	liar := &Liar{Hub: h, Alter: alter}
	liar.http = &http.Server{Handler: http.HandlerFunc(liar.serve)}
	liar.wg.Go(func() { _ = liar.http.Serve(l) })
	ctx, cancel := context.WithCancel(context.Background())
	liar.wg.Go(func() { liar.sweep(ctx) })
	h.stop = func() {
		cancel()
		_ = liar.http.Close()
		liar.wg.Wait()
	}
	return liar, nil
}

func (l *Liar) sweep(ctx context.Context) {
	tick := time.NewTicker(broker.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.Broker.Sweep()
		case <-ctx.Done():
			return
		}
	}
}

// URL returns the liar's URL with its key.
func (l *Liar) URL() hub.URL { return hub.URL{Host: l.addr, Key: l.Key.ID()} }

// serve is a connection of one node.
func (l *Liar) serve(w http.ResponseWriter, r *http.Request) {
	nonce, err := hex.DecodeString(r.URL.Query().Get("n"))
	if err != nil {
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{hub.Subprotocol}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	login := hub.Login{Origin: "ws://" + l.addr, Hub: l.Key.ID(), ClientNonce: nonce, HubNonce: hub.NewNonce(hub.NonceBytes), Binding: make([]byte, hub.BindingBytes)}
	c := &liarConn{liar: l, ws: ws}
	challenge, err := hub.New(hub.TypeChallenge, &hub.Challenge{Hub: login.Hub, Nonce: login.HubNonce, Proof: login.Prove(l.Key)})
	if err != nil {
		return
	}
	c.Send(challenge)
	var h hub.Hello
	e, err := c.read()
	if err != nil || e.Read(&h) != nil {
		return
	}
	c.node = h.Node
	if l.AddMember(h.Node) != nil {
		return
	}
	k, err := l.Broker.Login(login, &h, netip.AddrPort{}, c)
	if err != nil {
		return
	}
	defer k.Left()
	for {
		if e, err = c.read(); err != nil {
			return
		}
		if l.Saw != nil {
			l.Saw(h.Node, e)
		}
		k.Handle(e)
	}
}

// liarConn implements [broker.Out].
type liarConn struct {
	liar *Liar
	ws   *websocket.Conn
	node identity.ID
}

func (c *liarConn) read() (hub.Event, error) {
	_, text, err := c.ws.Read(context.Background())
	if err != nil {
		return hub.Event{}, err
	}
	return hub.Decode(text, hub.MaxEventBytes)
}

// Send implements [broker.Out].
func (c *liarConn) Send(e hub.Event) {
	for _, e := range c.liar.Alter(c.node, e) {
		if text, err := e.Encode(); err == nil {
			_ = c.ws.Write(context.Background(), websocket.MessageText, text)
		}
	}
}

// Close implements [broker.Out].
func (c *liarConn) Close(int, string) { go func() { _ = c.ws.CloseNow() }() }
