package node_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/path"
	"mesh/proto/wire"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// deadAddr is an address of loopback at which nobody listens.
func deadAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// elsewhere is oneToken with an address in the token where nobody listens. It has the name of
// a host, so that hubs are told the listener's own addresses all the same.
func elsewhere(t *testing.T) node.Offer {
	o := oneToken()
	_, port, _ := strings.Cut(deadAddr(t), ":")
	o.Addrs = []string{"localhost:" + port}
	return o
}

// A token whose addresses do not answer reaches its listener all the same, at a hub that
// both have, although the listener has no name there; and it is used once.
func TestTokenAtHub(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "")
	o := elsewhere(t)
	o.Once = true
	links := accept(t, bob.wait(t, o))
	p := bob.peer(t, 0, alice)
	l, err := alice.Dial(t.Context(), p, send)
	if err != nil {
		t.Fatal(err)
	}
	other := <-links
	if other.Token == nil || *other.Token != p.Token.ID {
		t.Errorf("the listener got the token %v, want %v", other.Token, p.Token.ID)
	}
	if party := alice.Party(l); party.Trust != node.GradePinned {
		t.Errorf("got trust %q, want %q", party.Trust, node.GradePinned)
	}
	closeBoth(l, other)
	_, err = alice.Dial(t.Context(), p, send)
	xtest.WantCode(t, "a used token", err, proto.Unreachable)
}

// What the hub is asked about a token changes no outcome but that of a listener which is
// not at the addresses.
func TestTokenAtHubRefused(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice, outsider, stranger := atHub(t, h, ""), atHub(t, h, ""), atHub(t, h, ""), newNode(t, at("", openHub(t).URL()))
	bob.wait(t, elsewhere(t))
	p := bob.peer(t, 0, alice)
	wrong := p
	wrong.Credential.Secret = []byte("not the secret of this token, but of another one")
	files := node.Request{Want: proto.CapSend, Need: proto.CapSend, Kind: wire.KindFiles}
	for _, tt := range []struct {
		what string
		from *testNode
		peer node.Peer
		r    node.Request
	}{
		{"wrong secret", alice, wrong, send},
		{"another kind", alice, p, files},
		{"no member of the hub", stranger, bob.peer(t, 0, stranger), send},
		{"a listener that is at no hub", outsider, newAt(t, elsewhere(t)).peer(t, 0, outsider), send},
	} {
		_, err := tt.from.Dial(t.Context(), tt.peer, tt.r)
		xtest.WantCode(t, tt.what, err, proto.Unreachable)
	}
}

// newAt returns a node without a hub that waits for an offer.
func newAt(t *testing.T, o node.Offer) *testNode {
	t.Helper()
	n := newNode(t, nil)
	n.wait(t, o)
	return n
}

// A listener that has no name at its hub cannot be asked for there but by its tokens.
func TestQuietListener(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	bob, alice := atHub(t, h, ""), atHub(t, h, "")
	allow(t, bob, alice, proto.CapSend)
	o := oneToken()
	o.Once, o.TokenFile = true, filepath.Join(t.TempDir(), "tok")
	bob.wait(t, o)
	_, err := alice.dialText(t, bob.Key.ID().String(), send)
	xtest.WantCode(t, "by node id", err, proto.Unreachable)
	if got := bob.stderr.String(); got != "" {
		t.Errorf("got %q on standard error, want nothing", got)
	}
}

// What a listener takes alone, its dialer dials alone: by name, by token at the hub, and if
// nothing is left, the dial fails with 10.
func TestPeerVia(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	for i, tt := range []struct {
		listener, dialer string
		want             string // the transport; "" for 10
	}{
		{"quic", "auto", proto.ViaQUIC},
		{"tcp,direct", "lan", proto.ViaTCP},
		{"quic", "tcp", ""},
		{"direct", "quic,lan", proto.ViaQUIC},
	} {
		bob := newNode(t, both(at("", h.URL()), via(t, tt.listener)))
		alice := newNode(t, both(at("hub", h.URL()), via(t, tt.dialer)))
		for _, n := range []*testNode{bob, alice} {
			if err := h.AddMember(n.Key.ID()); err != nil {
				t.Fatal(err)
			}
		}
		allow(t, bob, alice, proto.CapSend)
		o := elsewhere(t)
		o.As = fmt.Sprintf("bob%d", i)
		links := accept(t, bob.online(t, o))
		for what, dial := range map[string]func() (*link.Link, error){
			"by name":  func() (*link.Link, error) { return alice.dialText(t, o.As, send) },
			"by token": func() (*link.Link, error) { return alice.Dial(t.Context(), bob.peer(t, 0, alice), send) },
		} {
			l, err := dial()
			switch {
			case tt.want == "":
				xtest.WantCode(t, tt.listener+" and "+tt.dialer+" "+what, err, proto.Unreachable)
			case err != nil:
				t.Errorf("%s and %s %s: %v", tt.listener, tt.dialer, what, err)
			default:
				if l.Via() != tt.want {
					t.Errorf("%s and %s %s: got %s, want %s", tt.listener, tt.dialer, what, l.Via(), tt.want)
				}
				closeBoth(l, <-links)
			}
		}
		if err := bob.Close(nil); err != nil {
			t.Error(err)
		}
	}
}

// A token for a path that --via bars is not dialled, and what was barred is said.
func TestDialVia(t *testing.T) {
	t.Parallel()
	bob, alice := newNode(t, nil), newNode(t, via(t, "relay"))
	bob.wait(t, oneToken())
	_, err := alice.Dial(t.Context(), bob.peer(t, 0, alice), send)
	xtest.WantCode(t, "--via relay without a hub", err, proto.Usage)
	_, err = alice.Wait(oneToken())
	xtest.WantCode(t, "waiting with --via relay without a hub", err, proto.Usage)
}

func via(t *testing.T, text string) func(*node.Options) {
	t.Helper()
	v, err := path.ParseVia(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *node.Options) { o.Via = v }
}

func both(a, b func(*node.Options)) func(*node.Options) {
	return func(o *node.Options) {
		a(o)
		b(o)
	}
}

// The dial by a token costs the hub nothing while the addresses answer.
func TestTokenWithoutHub(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan struct{}, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
			asked <- struct{}{}
		}
	}()
	u := openHub(t).URL()
	u.Host = l.Addr().String()
	bob, alice := newNode(t, nil), newNode(t, at("", u))
	links := accept(t, bob.wait(t, oneToken()))
	link, err := alice.Dial(t.Context(), bob.peer(t, 0, alice), send)
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(link, <-links)
	select {
	case <-asked:
		t.Error("the hub was asked, although the address in the token answers")
	case <-time.After(10 * time.Millisecond):
	}
}
