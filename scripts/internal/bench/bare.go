//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/scripts/internal/measure"
)

// bareTool is the bare server, with which hubs are compared.
func bareTool() *measure.Tool {
	return &measure.Tool{Name: "bare server", Open: func(j measure.Job) (measure.Ends, error) {
		return measure.Ends{Recv: j.On("hub", measure.Self(), "bare")}, nil
	}}
}

// bare is the smallest server that the members can use: what the protocol makes
// unavoidable, with the same TLS, and no store, limits, rooms, relay, log or checks of what
// an event says. Anybody is a member.
type bare struct {
	key *identity.Key

	mu       sync.Mutex
	nodes    map[identity.ID]*bareConn
	sessions map[hub.ID]bareSession
}

// bareEvent is the envelope of an event. Data is any value, or the text of one.
type bareEvent[T any] struct {
	Type string      `json:"type"`
	ID   string      `json:"id,omitzero"`
	Ref  string      `json:"ref,omitzero"`
	From identity.ID `json:"from,omitzero"`
	Data T           `json:"data,omitzero"`
}

type bareSession struct {
	dialer *bareConn
	kind   hub.Kind
}

type bareConn struct {
	ws   *websocket.Conn
	node identity.ID
}

// serveBare runs a bare server at a free port of loopback until it is killed.
func serveBare([]string) error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	cert, err := key.Certificate()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b := &bare{key: key, nodes: make(map[identity.ID]*bareConn), sessions: make(map[hub.ID]bareSession)}
	fmt.Println("mesh-hub join " + hub.URL{TLS: true, Host: l.Addr().String(), Key: key.ID()}.String())
	server := &http.Server{
		Handler: b, ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return server.Serve(tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
	}))
}

// ServeHTTP implements [http.Handler].
func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	login := hub.Login{Origin: "wss://" + r.Host, Hub: b.key.ID(), HubNonce: hub.NewNonce(hub.NonceBytes)}
	var bad [2]error
	login.ClientNonce, bad[0] = hex.DecodeString(r.URL.Query().Get("n"))
	login.Binding, bad[1] = r.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes)
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{hub.Subprotocol}, CompressionMode: websocket.CompressionDisabled})
	if err != nil || errors.Join(bad[:]...) != nil {
		return
	}
	c := &bareConn{ws: ws}
	defer ws.CloseNow()
	if b.login(c, login) != nil {
		return
	}
	ws.SetReadLimit(hub.MaxEventBytes)
	for b.answer(c) == nil {
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.nodes, c.node)
}

// login proves the server's key, and checks that of the member.
func (b *bare) login(c *bareConn, l hub.Login) error {
	err := write(c, bareEvent[hub.Challenge]{Type: hub.TypeChallenge, Data: hub.Challenge{Hub: l.Hub, Nonce: l.HubNonce, Proof: l.Prove(b.key)}})
	if err != nil {
		return err
	}
	var e bareEvent[hub.Hello]
	if err := c.read(&e); err != nil {
		return err
	}
	if !l.Check(&e.Data) {
		return errors.New("the signature is wrong")
	}
	c.node = e.Data.Node
	b.mu.Lock()
	b.nodes[c.node] = c
	b.mu.Unlock()
	return write(c, bareEvent[hub.Welcome]{Type: hub.TypeWelcome, Data: hub.Welcome{PingS: uint32(hub.PingEvery.Seconds())}})
}

// answer handles the next event. The error is one of the connection, or of the event.
func (b *bare) answer(c *bareConn) error {
	var e bareEvent[json.RawMessage]
	if err := c.read(&e); err != nil {
		return err
	}
	switch e.Type {
	case hub.TypeRequest:
		return b.request(c, e)
	case hub.TypeAccept:
		return b.accept(c, e)
	}
	return write(c, bareEvent[json.RawMessage]{Type: hub.TypeOK, Ref: e.ID})
}

func (b *bare) request(c *bareConn, e bareEvent[json.RawMessage]) error {
	var r hub.Request
	if err := json.Unmarshal(e.Data, &r); err != nil {
		return err
	}
	to, err := identity.ParseID(r.To)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.sessions[r.Session] = bareSession{c, r.Kind}
	listener := b.nodes[to]
	b.mu.Unlock()
	if listener == nil {
		return errors.New("no such node")
	}
	err = write(listener, bareEvent[hub.Offer]{Type: hub.TypeOffer, From: c.node, Data: hub.Offer{Request: r}})
	return errors.Join(err, write(c, bareEvent[json.RawMessage]{Type: hub.TypeOK, Ref: e.ID}))
}

func (b *bare) accept(c *bareConn, e bareEvent[json.RawMessage]) error {
	var a hub.Accept
	if err := json.Unmarshal(e.Data, &a); err != nil {
		return err
	}
	b.mu.Lock()
	s, known := b.sessions[a.Session]
	delete(b.sessions, a.Session)
	b.mu.Unlock()
	if !known {
		return errors.New("no such session")
	}
	life := uint32(hub.SessionLife.Seconds())
	err := write(s.dialer, bareEvent[hub.Created]{Type: hub.TypeCreated, Data: hub.Created{
		Session: a.Session, Role: hub.RoleDialer, Peer: c.node, Kind: s.kind, SessionToken: a.Sealed, Sig: a.Sig, ExpiresS: life,
	}})
	return errors.Join(err, write(c, bareEvent[hub.Created]{Type: hub.TypeCreated, Data: hub.Created{
		Session: a.Session, Role: hub.RoleListener, Peer: s.dialer.node, Kind: s.kind, ExpiresS: life,
	}}))
}

func (c *bareConn) read(e any) error {
	_, text, err := c.ws.Read(context.Background())
	if err != nil {
		return err
	}
	return json.Unmarshal(text, e)
}

func write(c *bareConn, e any) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return c.ws.Write(context.Background(), websocket.MessageText, text)
}
