package agent_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/xtest"
)

// lobby is the room of all members that come and go.
const lobby = "lobby"

// elsewhere dials from a random address of loopback, so that a limit for each source holds
// for one member alone. Linux takes all of 127.0.0.0/8.
func elsewhere(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	if runtime.GOOS == "linux" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1+byte(rand.N(200)), byte(rand.N(250)), 1+byte(rand.N(250)))}
	}
	return d.DialContext(ctx, network, addr)
}

// latency lets four pairs of members ask each other for sessions, four times a second, while
// f runs. It returns the time in which that many percent of the sessions were created, and
// how many there were. A restart of the hub is waited for, and not measured.
func (c *churn) latency(percent int, f func()) (took time.Duration, n int) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	for i := range 4 {
		name := fmt.Sprintf("steady%d-%d", i, rand.N(1<<30))
		alice, bob := xtest.NewKey(c.t), xtest.NewKey(c.t)
		c.join(alice)
		c.join(bob)
		dialer := agent.New(agent.Options{URL: c.url, Key: alice, Instance: hub.NewID()})
		listener := agent.New(agent.Options{URL: c.url, Key: bob, Instance: hub.NewID()})
		listener.Registers = []hub.Register{{Name: name, Kinds: []hub.Kind{hub.KindPipe}}}
		listener.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
			accept, _, err := o.Request.Accept(bob, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Caps: "send"})
			if err != nil {
				c.t.Error(err)
			}
			return agent.Answer{Accept: accept}
		}
		wg.Go(func() { dialer.Run(ctx) })
		wg.Go(func() { listener.Run(ctx) })
		wg.Go(func() {
			for tick := time.NewTicker(time.Second / 4); ; {
				if took, ok := c.session(ctx, dialer, name); ok {
					mu.Lock()
					all = append(all, took)
					mu.Unlock()
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					tick.Stop()
					return
				}
			}
		})
	}
	f()
	cancel()
	wg.Wait()
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[(len(all)-1)*percent/100], len(all)
}

// session makes one session, while the hub is up, and ends it.
func (c *churn) session(ctx context.Context, a *agent.Agent, to string) (time.Duration, bool) {
	c.up.RLock()
	defer c.up.RUnlock()
	began := time.Now()
	settled := began.Sub(c.since) > c.settle
	s, err := a.Request(ctx, agent.Ask{To: to, Kind: hub.KindPipe, Want: proto.CapSend, Judge: anybody})
	took := time.Since(began)
	if err != nil {
		return 0, false // one of the two is not back yet
	}
	a.Closed(ctx, s, "done", "")
	return took, settled
}

// code lets a node that is a member for as long as this takes claim a code of a. One time in
// four its words are wrong first.
func (c *churn) code(ctx context.Context, a *agent.Agent) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	key := xtest.NewKey(c.t)
	c.join(key)
	dialer := agent.New(agent.Options{URL: c.url, Key: key, Instance: hub.NewID(), DialContext: elsewhere})
	codes, ended := make(chan hub.Code, 1+hub.MaxNewCodes), make(chan bool, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { dialer.Run(ctx) })
	wg.Go(func() {
		_, err := a.OfferCode(ctx, agent.CodeOffer{
			Kind: hub.KindPipe,
			Show: func(code hub.Code, _ error) {
				select {
				case codes <- code:
				default:
				}
			},
			Grant: func(context.Context, agent.CodeDialer) (hub.Grant, func(), error) {
				return hub.Grant{Method: hub.MethodKey, Caps: "send"}, nil, nil
			},
		})
		ended <- err == nil
	})
	wrong := rand.N(4) == 0
	for {
		select {
		case code := <-codes:
			if wrong {
				code, wrong = wrongWords(code), false
			}
			_, _ = dialer.DialCode(ctx, agent.CodeAsk{Code: code}) // the hub may be restarted
		case done := <-ended:
			if done {
				c.add(&c.codes)
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// raw logs a member in, without TLS, and returns its connection. Nobody reads it, and it
// takes little that is not read.
func (c *churn) raw(ctx context.Context, key *identity.Key) (*websocket.Conn, error) {
	nonce := hub.NewNonce(hub.ClientNonceBytes)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := elsewhere(ctx, network, addr)
		if t, ok := conn.(*net.TCPConn); ok {
			err = t.SetReadBuffer(4 << 10)
		}
		return conn, err
	}
	u := hub.URL{Host: c.url.Host, Key: c.url.Key}
	ws, _, err := websocket.Dial(ctx, u.WebSocket(nonce), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}, Subprotocols: []string{hub.Subprotocol},
	})
	if err != nil {
		return nil, err
	}
	_, text, err := ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	var challenge hub.Challenge
	e, err := hub.Decode(text, hub.MaxEventBytes)
	if err == nil {
		err = e.Read(&challenge)
	}
	if err != nil {
		return nil, err
	}
	l := hub.Login{Origin: u.Origin(), Hub: challenge.Hub, ClientNonce: nonce, HubNonce: challenge.Nonce, Binding: make([]byte, hub.BindingBytes)}
	h := &hub.Hello{Node: key.ID(), Binding: l.Binding, Instance: hub.NewID()}
	h.Sig = l.Sign(key, h.Instance)
	send(ws, hub.TypeHello, h)
	return ws, nil
}

// abuse is a member that sends as fast as it can, or asks and reads nothing, until the hub
// closes its connection.
func (c *churn) abuse(ctx context.Context, slow bool) {
	key := xtest.NewKey(c.t)
	c.join(key)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ws, err := c.raw(ctx, key)
	if err != nil {
		return // the hub is restarted
	}
	defer ws.CloseNow()
	var wg sync.WaitGroup
	defer wg.Wait()
	closed := make(chan int, 1)
	read := func() {
		for {
			if _, _, err := ws.Read(ctx); err != nil {
				closed <- int(websocket.CloseStatus(err))
				return
			}
		}
	}
	kinds := []string{
		`{"type":"room.peers","id":"%d","data":{"room":"` + lobby + `"}}`, `{"type":"system.watch","id":"%d","data":{"peer":"` + key.ID().String() + `","kind":"ping"}}`,
		`{"type":"room.join","id":"%d","data":{"room":"r%[1]d","watch":true}}`, `{"type":"nonsense","id":"%d"}`, `{"type":"system.lookup","id":"%d","data":{"peer":"` + strings.Repeat("x", 200) + `"}}`,
	}
	kind := kinds[rand.N(len(kinds))]
	pause := time.NewTicker(time.Second / 20)
	defer pause.Stop()
	if slow {
		kind = kinds[0]
	} else {
		wg.Go(read)
	}
	for i := 0; ; i++ {
		if ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, kind, i)) != nil {
			break
		}
		if slow {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
	if slow {
		read()
	}
	switch code := <-closed; {
	case slow && ctx.Err() == nil:
		c.add(&c.slow) // the close frame may have found no place
	case code == hub.CloseTooSlow || code == hub.CloseBadEvent:
		c.add(&c.floods)
	}
}

func (c *churn) add(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}
