// Package hubtest has hubs in memory on loopback, for tests: a [Hub] that runs the code
// of real hubs, and a [Liar], which alters what nodes are told.
package hubtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/nat"
)

// Hub is a hub whose facts survive [Hub.Stop], but not the process.
type Hub struct {
	Key *identity.Key
	// Broker is the one of now: each start makes a new one.
	Broker *broker.Broker
	// Guests lets nodes that are no members claim codes, from the next start on.
	Guests bool

	ahead atomic.Int64 // of the clock, in nanoseconds
	addr  string
	facts *memory
	stop  func()
}

// Open starts a hub at a free port of loopback. Call [Hub.Stop] in the end.
func Open() (*Hub, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	h := &Hub{Key: key, addr: "127.0.0.1:0", facts: &memory{facts: make(map[string]broker.Fact)}}
	return h, h.Start()
}

// Start starts a hub that was stopped, at the same address.
func (h *Hub) Start() error {
	stun := nat.NewServer(nil)
	sockets, err := listenUDP()
	if err != nil {
		return err
	}
	b, err := broker.New(h.facts, broker.Options{
		STUN: func(string) []string { return addrsOf(sockets) },
		Hub:  h.Key.ID(), APIKey: h.Key.Derive(hub.APIKeyLabel), Now: h.now, Guests: h.Guests,
		SignJoined: func(seed, node identity.ID, until time.Time) *hub.Joined {
			return hub.SignJoined(h.Key, seed, node, until)
		},
	})
	if err != nil {
		return err
	}
	s, err := serve.New(serve.Options{Key: h.Key, Broker: b, STUN: stun, Software: "hubtest"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		return err
	}
	h.Broker, h.addr = b, l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx, l) })
	wg.Go(func() { s.Sweep(ctx) })
	wg.Go(func() { stun.ServeUDP(ctx, sockets...) })
	h.stop = func() {
		cancel()
		s.Close()
		wg.Wait()
	}
	return nil
}

// listenUDP opens the two ports of a STUN server.
func listenUDP() (sockets []net.PacketConn, err error) {
	for range 2 {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, c)
	}
	return sockets, nil
}

func addrsOf(sockets []net.PacketConn) (addrs []string) {
	for _, c := range sockets {
		addrs = append(addrs, c.LocalAddr().String())
	}
	return addrs
}

func (h *Hub) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// Skip lets time pass for the hub alone: its limits of time take effect soon.
func (h *Hub) Skip(d time.Duration) { h.ahead.Add(int64(d)) }

// Stop closes all connections of the hub, and its port.
func (h *Hub) Stop() {
	if h.stop != nil {
		h.stop()
	}
	h.stop = nil
}

// URL returns the hub's URL with its key.
func (h *Hub) URL() hub.URL { return hub.URL{TLS: true, Host: h.addr, Key: h.Key.ID()} }

// AddMember makes a node a member.
func (h *Hub) AddMember(id identity.ID) error {
	return h.Broker.AddMember("admin", id, time.Time{})
}

// Invite returns the text of an invite for one use. The name may be "".
func (h *Hub) Invite(name string) (string, error) {
	i := hub.NewInvite(h.URL(), time.Now().Add(time.Hour))
	err := h.Broker.AddInvite("admin", broker.Invite{Key: i.Key(), Name: name, Expires: i.Expires, Uses: 1})
	if err != nil {
		return "", err
	}
	return i.Encode()
}

// memory is a store without a disk.
type memory struct {
	mu    sync.Mutex
	facts map[string]broker.Fact
	log   []broker.Entry
}

// Load implements [broker.Store].
func (m *memory) Load() (all []broker.Fact, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.facts {
		all = append(all, f)
	}
	return all, nil
}

// Write implements [broker.Store].
func (m *memory) Write(e broker.Entry, changes ...broker.Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range changes {
		if m.facts[f.Key] = f; len(f.Value) == 0 {
			delete(m.facts, f.Key)
		}
	}
	m.log = append(m.log, e)
	return nil
}

// Log implements [broker.Store].
func (m *memory) Log(uint64, int) ([]broker.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log, nil
}
