package node_test

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

const loopback = "127.0.0.1:0"

// buffer collects what a node writes. It may be read while the node is open.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed at the next write; nil while nobody waits
}

// Write implements [io.Writer].
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return b.b.Write(p)
}

// await blocks until text was written.
func (b *buffer) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		b.mu.Lock()
		if strings.Contains(b.b.String(), text) {
			b.mu.Unlock()
			return
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("got %q, want %q in it", b.String(), text)
		}
	}
}

// Close implements [io.Closer].
func (b *buffer) Close() error { return nil }

// String returns what was written.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// events returns the events of the given name.
func (b *buffer) events(t *testing.T, name string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(b.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e["event"] == name {
			found = append(found, e)
		}
	}
	return found
}

// testNode is a node with a key of its own, on loopback.
type testNode struct {
	*node.Node
	events, stderr buffer
}

func newNode(t *testing.T, set func(*node.Options)) *testNode {
	t.Helper()
	n := new(testNode)
	o := node.Options{
		Key: xtest.NewKey(t), State: t.TempDir(), Listen: loopback,
		Events: &n.events, Name: "mesh-test", Stderr: &n.stderr,
	}
	if set != nil {
		set(&o)
	}
	n.Node = node.New(o)
	t.Cleanup(func() { _ = n.Close(nil) })
	return n
}

// wait makes n wait for an offer.
func (n *testNode) wait(t *testing.T, o node.Offer) *node.Waiter {
	t.Helper()
	if o.Max == 0 {
		o.Max = 8
	}
	w, err := n.Wait(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// token returns the i-th token that n has shown.
func (n *testNode) token(t *testing.T, i int) token.Token {
	t.Helper()
	shown := n.events.events(t, "listening")
	if len(shown) <= i {
		t.Fatalf("got %d listening events, want more than %d", len(shown), i)
	}
	text, _ := shown[i]["token"].(string)
	tok, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// peer returns the listener of the i-th token that n has shown, as m sees it.
func (n *testNode) peer(t *testing.T, i int, m *testNode) node.Peer {
	t.Helper()
	text, err := n.token(t, i).Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Peer(t.Context(), node.PeerText{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// oneToken is an offer of everything that a pipe needs.
func oneToken() node.Offer {
	caps := proto.CapSend | proto.CapRecv
	return node.Offer{Caps: caps, Tokens: []node.TokenOffer{{Caps: caps}}, Command: "mesh-cat"}
}

// send asks for what a sender needs.
var send = node.Request{Want: proto.CapSend | proto.CapRecv, Need: proto.CapSend}

// closeBoth closes the two ends of a link. Each waits for the other.
func closeBoth(a, b *link.Link) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { a.Close(nil) })
	wg.Go(func() { b.Close(nil) })
}

// portOf returns the port of an address.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
