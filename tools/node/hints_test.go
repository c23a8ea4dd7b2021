package node_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

func hintOf(err error) string { return strings.Join(proto.Hints(err), " ") }

// A node without rights is told what the other side types, and that side prints the
// same line: once, however often the node comes.
func TestStrangerHints(t *testing.T) {
	t.Parallel()
	listener, dialer := newNode(t, nil), newNode(t, nil)
	listener.wait(t, node.Offer{Caps: proto.CapSend | proto.CapRecv})
	addr, _ := listener.events.events(t, "listening")[0]["addr"].(string)
	peer := node.Peer{
		Peer:       identity.Peer{Name: "bob", ID: listener.Key.ID(), Addrs: []string{addr}},
		Credential: token.KeyCredential(), Caps: proto.AllCaps,
	}
	want := "mesh-token allow " + dialer.Key.ID().String() + " send"
	for range 3 {
		_, err := dialer.Dial(t.Context(), peer, node.Request{Want: proto.CapSend, Need: proto.CapSend})
		xtest.WantCode(t, "without rights", err, proto.Denied)
		if got := hintOf(err); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if got := listener.stderr.String(); strings.Count(got, want) != 1 {
		t.Errorf("the listener printed %q, want %q once", got, want)
	}

	// Known, but with other rights.
	if err := listener.Book.Allow(dialer.Key.ID(), proto.CapRecv); err != nil {
		t.Fatal(err)
	}
	_, err := dialer.Dial(t.Context(), peer, node.Request{Want: proto.CapSend, Need: proto.CapSend})
	xtest.WantCode(t, "other rights", err, proto.Capability)
	if got := hintOf(err); !strings.Contains(got, "with send among CAPS") {
		t.Errorf("got %q", got)
	}

	// Nobody at the address.
	free, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	gone := peer
	gone.Addrs = []string{free.Addr().String()}
	_ = free.Close()
	_, err = dialer.Dial(t.Context(), gone, node.Request{Want: proto.CapSend, Need: proto.CapSend})
	xtest.WantCode(t, "nobody there", err, proto.Unreachable)
	if got := hintOf(err); !strings.Contains(got, "mesh-token peer add --addr HOST:PORT bob "+peer.ID.String()) {
		t.Errorf("got %q", got)
	}

	// Another key at the address.
	peer.ID = xtest.NewKey(t).ID()
	_, err = dialer.Dial(t.Context(), peer, node.Request{Want: proto.CapSend, Need: proto.CapSend})
	xtest.WantCode(t, "another key", err, proto.Identity)
	if got := hintOf(err); !strings.Contains(got, "mesh-token peer forget bob") {
		t.Errorf("got %q", got)
	}
}

// A token is judged before anybody is called, as far as it says enough.
func TestTokenHints(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	for _, tt := range []struct {
		what  string
		caps  proto.Caps
		addrs []string
		code  proto.Code
		hint  string
	}{
		{"no address", proto.CapSend, nil, proto.Unreachable, "--addr HOST:PORT"},
		{"for a terminal", proto.CapTTYView, []string{"192.0.2.1:1"}, proto.Capability, "mesh-tty"},
		{"to take from", proto.CapRecv, []string{"192.0.2.1:1"}, proto.Capability, "mesh-recv"},
	} {
		tok, err := token.NewCapability(xtest.NewKey(t), tt.caps, time.Hour, 1, identity.ID{}, tt.addrs)
		p, err := n.Peer(t.Context(), node.PeerText{Text: encode(t, tok, err)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.Dial(t.Context(), p, node.Request{Want: proto.CapSend, Need: proto.CapSend, Wait: time.Hour})
		xtest.WantCode(t, tt.what, err, tt.code)
		if got := hintOf(err); !strings.Contains(got, tt.hint) {
			t.Errorf("%s: got %q, want %q in it", tt.what, got, tt.hint)
		}
	}
}

// Who shows a token is told how far it reaches.
func TestReach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listen string
		addrs  []string
		want   string // "" for nothing
	}{
		{":0", []string{"127.0.0.1:1"}, "this machine has no network"},
		{":0", []string{"192.168.1.2:1", "[fd00::1]:1", "100.64.1.1:1"}, "for this network only"},
		{":0", []string{"192.168.1.2:1", "203.0.113.5:1"}, ""},
		{":0", []string{"192.168.1.2:1", "[2001:db8::1]:1"}, ""},
		{":0", []string{"host.example:1"}, ""},
		{loopback, []string{"127.0.0.1:1"}, ""}, // the user wants that
	} {
		n := newNode(t, func(o *node.Options) { o.Listen = tt.listen })
		n.wait(t, node.Offer{Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, Once: true, TTL: time.Hour, Command: "mesh-cat", Addrs: tt.addrs})
		_, after, _ := strings.Cut(n.stderr.String(), "\n")
		if !strings.Contains(after, tt.want) || tt.want == "" && after != "" {
			t.Errorf("%s %v: got %q, want %q", tt.listen, tt.addrs, after, tt.want)
		}
	}
}

// A listener for many peers waits at the default port, or says which port it has.
func TestDefaultPort(t *testing.T) {
	t.Parallel()
	var where []string
	for range 2 { // at most one of them can have it
		n := newNode(t, func(o *node.Options) { o.Listen = "" })
		n.wait(t, node.Offer{Caps: proto.CapSend})
		at, _ := n.events.events(t, "listening")[0]["addr"].(string)
		where = append(where, at)
		taken := strings.Contains(n.stderr.String(), "port "+node.DefaultPort+" is taken")
		if got := strings.HasSuffix(at, ":"+node.DefaultPort); got == taken {
			t.Errorf("listens at %s, and says %q", at, n.stderr.String())
		}
	}
	if where[0] == where[1] {
		t.Errorf("both listen at %s", where[0])
	}
	once := newNode(t, func(o *node.Options) { o.Listen = "" })
	once.wait(t, node.Offer{Caps: proto.CapSend, Once: true})
	if at, _ := once.events.events(t, "listening")[0]["addr"].(string); strings.HasSuffix(at, ":"+node.DefaultPort) {
		t.Errorf("for one peer: listens at %s, want a free port", at)
	}
}

func TestWithPort(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"host": "host:4600", "host:1": "host:1", "192.0.2.1": "192.0.2.1:4600", "::1": "[::1]:4600", "[::1]": "[::1]:4600",
		"[::1]:7": "[::1]:7", ":7": ":7", "": "", "a:b:c": "a:b:c", "fe80::1%eth0": "[fe80::1%eth0]:4600",
	} {
		if got := node.WithPort(addr); got != want {
			t.Errorf("%q: got %q, want %q", addr, got, want)
		}
	}
}
