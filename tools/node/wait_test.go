package node_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

func TestOfferTokens(t *testing.T) {
	t.Parallel()
	view, control := proto.CapTTYView, proto.CapTTYView|proto.CapTTYControl
	for _, tt := range []struct {
		what  string
		offer node.Offer
		caps  []proto.Caps
		uses  uint16
		file  []string // that are written
		saved bool     // the addresses, for mesh-token new
		shown string   // on standard error
	}{
		{what: "no token", offer: node.Offer{Caps: proto.CapSend}, saved: true},
		{
			what: "one peer", offer: node.Offer{Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, Once: true, Command: "mesh-cat", Operand: "FILE…"},
			caps: []proto.Caps{proto.CapSend}, uses: 1, shown: "mesh-test: on the other side, run: mesh-cat mesh1",
		},
		{
			what: "many peers", offer: node.Offer{ShowToken: true, Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, Command: "mesh-cat"},
			caps: []proto.Caps{proto.CapSend}, saved: true, shown: "run: MESH_PEER=mesh1",
		},
		{
			what: "many peers with files", offer: node.Offer{ShowToken: true, Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, Command: "mesh-cat", Operand: "FILE…"},
			caps: []proto.Caps{proto.CapSend}, saved: true, shown: ">token); mesh-cat @token FILE…",
		},
		{
			what: "two tokens", offer: node.Offer{Caps: control, Temporary: true, TokenFile: "tok", Tokens: []node.TokenOffer{{Caps: view}, {Caps: control, Suffix: ".control"}}},
			caps: []proto.Caps{view, control}, file: []string{"tok", "tok.control"},
		},
	} {
		n := newNode(t, nil)
		dir := t.TempDir()
		if tt.offer.TokenFile != "" {
			tt.offer.TokenFile = filepath.Join(dir, tt.offer.TokenFile)
		}
		tt.offer.TTL, tt.offer.Addrs = time.Hour, []string{"192.0.2.1:1"}
		n.wait(t, tt.offer)
		for i, caps := range tt.caps {
			if got := n.token(t, i); got.Caps != caps || got.Uses != tt.uses || !slices.Equal(got.Addrs, tt.offer.Addrs) || got.Expires.IsZero() {
				t.Errorf("%s: got token %d %+v, want %v for %d", tt.what, i, got.Claims, caps, tt.uses)
			}
		}
		if got := len(n.events.events(t, "listening")); got != max(1, len(tt.caps)) {
			t.Errorf("%s: got %d listening events", tt.what, got)
		}
		for i, name := range tt.file {
			text, err := os.ReadFile(filepath.Join(dir, name))
			tok, perr := token.Parse(strings.TrimSpace(string(text)))
			if err != nil || perr != nil || tok.Caps != tt.caps[i] {
				t.Errorf("%s: got %v, %v, %v in %s", tt.what, tok.Caps, err, perr, name)
			}
		}
		if got := n.stderr.String(); !strings.Contains(got, tt.shown) || tt.shown == "" && got != "" {
			t.Errorf("%s: got %q on standard error, want %q in it", tt.what, got, tt.shown)
		}
		addrs, err := node.ListenerAddrs(n.Book)
		if err != nil || (len(addrs) > 0) != tt.saved {
			t.Errorf("%s: got %v, %v saved, want %v", tt.what, addrs, err, tt.saved)
		}
	}
}

func TestListenAddress(t *testing.T) {
	t.Parallel()
	taken := newNode(t, nil)
	taken.wait(t, node.Offer{})
	addr := taken.events.events(t, "listening")[0]["addr"].(string)
	for _, tt := range []struct {
		listen, via string
		code        proto.Code
		hint        string
	}{
		{listen: "", code: proto.OK},
		{listen: ":0", code: proto.OK},
		{listen: loopback, code: proto.OK},
		{listen: loopback, via: proto.ViaTCP, code: proto.OK},
		{listen: loopback, via: proto.ViaQUIC, code: proto.OK},
		{listen: "[::]:0", code: proto.OK},
		{listen: "4600", code: proto.Usage, hint: "--listen :4600"},
		{listen: "203.0.113.5", code: proto.Config, hint: "an address of this machine"}, // at the default port
		{listen: "[2001:db8::5]", code: proto.Config, hint: "an address of this machine"},
		{listen: "127.0.0.1:", code: proto.Usage, hint: "--listen :4600"},
		{listen: "127.0.0.1:65536", code: proto.Usage, hint: "--listen :4600"},
		{listen: "127.0.0.1:-1", code: proto.Usage, hint: "--listen :4600"},
		{listen: "127.0.0.1:http", code: proto.Usage, hint: "--listen :4600"},
		{listen: "::1:0:http", code: proto.Usage, hint: "--listen :4600"},
		{listen: "203.0.113.5:0", code: proto.Config, hint: "an address of this machine"},
		{listen: "203.0.113.5:0", via: proto.ViaTCP, code: proto.Config, hint: "an address of this machine"},
		{listen: addr, code: proto.IO, hint: "another process has that port"},
		{listen: addr, via: proto.ViaTCP, code: proto.IO, hint: "another process has that port"},
	} {
		n := newNode(t, func(o *node.Options) { o.Listen, o.Via.Transport = tt.listen, tt.via })
		w, err := n.Wait(node.Offer{Max: 1})
		xtest.WantCode(t, tt.listen+" "+tt.via, err, tt.code)
		if got := strings.Join(proto.Hints(err), "\n"); !strings.Contains(got, tt.hint) {
			t.Errorf("%q: got hint %q, want %q in it", tt.listen, got, tt.hint)
		}
		if err == nil {
			w.Stop()
		}
	}
}

// UDP and TCP have one port, and the addresses in the token are the node's own.
func TestOnePort(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	n.wait(t, oneToken())
	addr := n.events.events(t, "listening")[0]["addr"].(string)
	if got := n.token(t, 0).Addrs; !slices.Equal(got, []string{addr}) {
		t.Errorf("got %v in the token, want %s", got, addr)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("TCP on the port of UDP: %v", err)
	}
	_ = c.Close()
}

// A node that has stopped to wait can wait again, at the same port.
func TestWaitAgain(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"", proto.ViaTCP, proto.ViaQUIC} {
		dialer, n := newNode(t, nil), newNode(t, func(o *node.Options) { o.Via.Transport = via })
		var addr string
		for i := range 2 {
			o := oneToken()
			o.Max = 1
			w, err := n.Wait(o)
			if i > 0 && proto.CodeOf(err) == proto.IO {
				break // another process has taken the TCP port
			}
			if err != nil {
				t.Fatalf("%q: %v", via, err)
			}
			got := n.events.events(t, "listening")[i]["addr"].(string)
			if addr != "" && got != addr && via != proto.ViaTCP { // which has no socket in between
				t.Errorf("%q: got %s and then %s", via, addr, got)
			}
			addr = got
			links := accept(t, w)
			l, err := dialer.Dial(t.Context(), n.peer(t, i, dialer), send)
			if err != nil {
				t.Fatalf("%q: %v", via, err)
			}
			closeBoth(l, <-links)
			w.Stop()
		}
	}
}

func TestAcceptEnds(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	for _, tt := range []struct {
		what  string
		offer func(*node.Offer)
		end   bool // ctx
		want  string
	}{
		{"the time to wait is over", func(o *node.Offer) { o.Wait = time.Millisecond }, false, "no peer came in the time to wait"},
		{"the only token has expired", func(o *node.Offer) { o.Once, o.TTL = true, time.Millisecond }, false, "no peer came before the token expired"},
		{"the context ends", func(*node.Offer) {}, true, "stopped"},
	} {
		o := oneToken()
		tt.offer(&o)
		w := newNode(t, nil).wait(t, o)
		ctx, cancel := context.WithCancelCause(t.Context())
		if tt.end {
			cancel(stopped)
		}
		_, err := w.Accept(ctx)
		cancel(nil)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.what, err, tt.want)
		}
		if want := proto.Unreachable; !tt.end {
			xtest.WantCode(t, tt.what, err, want)
		}
	}
}

// A limit narrows what a token allows, and nothing widens it.
func TestLimit(t *testing.T) {
	t.Parallel()
	dialer := newNode(t, nil)
	var limit atomic.Value // of proto.Caps
	limit.Store(proto.AllCaps)
	o := oneToken()
	o.Limit = func(id identity.ID) (proto.Caps, error) {
		if id != dialer.Key.ID() {
			t.Errorf("asked for %s", id.Short())
		}
		return limit.Load().(proto.Caps), nil
	}
	listener := newNode(t, nil)
	w := listener.wait(t, o)
	for _, tt := range []struct {
		limit, granted proto.Caps
		code           proto.Code
	}{
		{proto.CapSend, proto.CapSend, proto.OK},
		{proto.AllCaps, proto.CapSend | proto.CapRecv, proto.OK},
		{proto.CapRecv, 0, proto.Capability},
		{0, 0, proto.Capability},
	} {
		limit.Store(tt.limit)
		l, err := dialer.Dial(t.Context(), listener.peer(t, 0, dialer), send)
		xtest.WantCode(t, tt.limit.String(), err, tt.code)
		if tt.code == proto.OK {
			other, aerr := w.Accept(t.Context())
			if aerr != nil || l.Granted != tt.granted {
				t.Errorf("limit %v: got %v, %v, want %v", tt.limit, l.Granted, aerr, tt.granted)
			}
			closeBoth(l, other)
		}
	}
}
