//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// hubMember is a member of a real hub, which answers offers.
type hubMember struct {
	key    *identity.Key
	agent  *agent.Agent
	offers chan agent.Offer
}

// member makes a member and connects it. It accepts all offers.
func (h *aHub) member(t *testing.T, u hub.URL) hubMember {
	t.Helper()
	m := hubMember{key: xtest.NewKey(t), offers: make(chan agent.Offer, 8)}
	h.admin(t, proto.OK, "member", "add", m.key.ID().String())
	online := make(chan hub.Registered, 8)
	m.agent = agent.New(agent.Options{URL: u, Key: m.key, Instance: hub.NewID()})
	m.agent.Registers = []hub.Register{{Kinds: []hub.Kind{hub.KindPipe}}}
	m.agent.OnRegistered = func(_ hub.Register, got hub.Registered) { online <- got }
	m.agent.OnOffer = func(_ context.Context, o agent.Offer) agent.Answer {
		a, _, err := o.Request.Accept(m.key, o.Hub, o.From, hub.Grant{Method: hub.MethodKey, Caps: "send"})
		if err != nil {
			t.Error(err)
		}
		m.offers <- o
		return agent.Answer{Accept: a}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.agent.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	if got := <-online; got.Code != "" {
		t.Fatalf("register: %q", got.Code)
	}
	return m
}

// relayEntries returns the doors with a scheme.
func relayEntries(list []hub.Relay, scheme string) (all []relay.Entry) {
	for _, r := range list {
		if strings.HasPrefix(r.URL, scheme+"://") {
			all = append(all, relay.Entry{URL: r.URL, Permit: r.Permit})
		}
	}
	return all
}

// place is a call of Join.
type place struct {
	statuses chan relay.Status // closed when the call ends
	conn     *relay.Conn
	err      error
}

// joinRelay begins to join as a node. The hub's key is that of the relay.
func joinRelay(t *testing.T, key *identity.Key, at identity.ID, entries []relay.Entry) *place {
	p := &place{statuses: make(chan relay.Status, 64)}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13}
	identity.VerifyBy(cfg, func(s tls.ConnectionState) error {
		id, err := identity.OfCertificates(s.PeerCertificates)
		if err == nil && id != at {
			err = errors.New("another key")
		}
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(p.statuses)
		p.conn, p.err = (&relay.Client{Key: key, TLS: cfg}).Join(ctx, entries, func(s relay.Status) { p.statuses <- s })
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if p.conn != nil {
			_ = p.conn.Close()
		}
	})
	return p
}

// end waits for the end of the call.
func (p *place) end() (*relay.Conn, error) {
	for range p.statuses {
	}
	return p.conn, p.err
}

// Two members of a hub of its own meet at its relay, with permits out of its events, by
// each pair of doors. Another node can do nothing with these permits. A hub that is told
// to end tells the nodes that wait.
func TestHubRelay(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := beginHub(t, dir, nil, "-v", "--drain", "10s")
	u, err := hub.ParseURL(strings.TrimSpace(strings.TrimPrefix(h.line, "mesh-hub join ")))
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, mallory := h.member(t, u), h.member(t, u), h.member(t, u)
	meet := func() (forAlice, forBob []hub.Relay) {
		s, err := alice.agent.Request(t.Context(), agent.Ask{To: bob.key.ID().String(), Kind: hub.KindPipe, Want: proto.CapSend, Judge: func(_ context.Context, c agent.Claim) error {
			if c.Peer != bob.key.ID() {
				return errors.New("another peer")
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s.Relays, (<-bob.offers).Relays
	}
	for _, dialer := range []string{"tcp", "wss"} {
		for _, listener := range []string{"tcp", "wss"} {
			forAlice, forBob := meet()
			waits := joinRelay(t, bob.key, u.Key, relayEntries(forBob, listener))
			if got := <-waits.statuses; got != relay.Waiting {
				t.Fatalf("%s: got status %v, %v; want %v", listener, got, waits.err, relay.Waiting)
			}
			for _, permits := range [][]hub.Relay{forBob, forAlice} {
				_, err := joinRelay(t, mallory.key, u.Key, relayEntries(permits, listener)).end()
				if r, ok := errors.AsType[*relay.Refused](err); !ok || r.Code != proto.Denied {
					t.Errorf("%s with the permit of another node: got %v, want a refusal with code %s", listener, err, proto.Denied)
				}
			}
			a, err := joinRelay(t, alice.key, u.Key, relayEntries(forAlice, dialer)).end()
			if err != nil {
				t.Fatal(err)
			}
			b, err := waits.end()
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, a, b)
			wantBytes(t, b, a)
			_, _ = a.Close(), b.Close()
		}
	}

	_, forBob := meet()
	waits := joinRelay(t, bob.key, u.Key, relayEntries(forBob, "wss"))
	if got := <-waits.statuses; got != relay.Waiting {
		t.Fatalf("got status %v, want %v", got, relay.Waiting)
	}
	_ = h.Process.Signal(syscall.SIGTERM)
	if got := <-waits.statuses; got != relay.Draining {
		t.Errorf("in the drain: got status %v, want %v", got, relay.Draining)
	}
	if _, err := waits.end(); proto.CodeOf(err) != proto.Unreachable {
		t.Errorf("in the drain: got %v, want code %s", err, proto.Unreachable)
	}
	if code := h.code(t); code != proto.Terminated {
		t.Errorf("mesh-hub ended with %v: %s", code, h.stderr.Bytes())
	}
	if n := strings.Count(h.stderr.String(), "relay session ended"); n != 4 {
		t.Errorf("the log has %d sessions of the relay, want 4:\n%s", n, h.stderr.String())
	}
}

// wantBytes wants what one end writes to arrive at the other one.
func wantBytes(t *testing.T, from, to *relay.Conn) {
	t.Helper()
	const text = "some bytes"
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	_ = to.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v; want %q", got, err, text)
	}
}
