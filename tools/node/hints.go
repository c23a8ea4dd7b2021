package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// strangers is a guard that reports the nodes which came without a token and are not
// allowed anything: their ids are what the user needs to allow them.
type strangers struct {
	handshake.Guard
	node *Node
	caps proto.Caps // that are offered here
	mu   sync.Mutex
	last time.Time
}

// Find implements [handshake.Guard]. Strangers decide how often it is called, so it
// prints at most one line in faultEvery.
func (g *strangers) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	a, err := g.Guard.Find(h, dialer)
	if h.Method == wire.MethodKey && proto.CodeOf(err) == proto.Denied {
		g.tell(dialer)
	}
	return a, err
}

// tell tells the user of a node that was refused.
func (g *strangers) tell(dialer identity.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.last.IsZero() || now.Sub(g.last) >= faultEvery {
		g.last = now
		g.node.tell(fmt.Sprintf("a node without rights was refused; to allow it: mesh-token allow %s %s", dialer, firstCap(g.caps)))
	}
}

// firstCap returns the capability to suggest: the least of those that are offered.
func firstCap(caps proto.Caps) proto.Caps {
	for _, c := range []proto.Caps{proto.CapSend, proto.CapRecv, proto.CapTTYView} {
		if caps.Has(c) {
			return c
		}
	}
	return caps
}

// errNoAddress is the error for a token that has no address.
var errNoAddress = errors.New("the token has no address")

// dialHint adds to the error of a dial what can be done about it.
func (n *Node) dialHint(p Peer, r Request, err error) error {
	switch code := proto.CodeOf(err); {
	case errors.Is(err, handshake.ErrPath):
		return proto.Hint(err, "the --via of the other side bars it")
	case p.Token != nil:
		return n.tokenHint(p, err)
	case p.ByCode() && !errors.Is(err, agent.ErrLogin):
		return codeHint(err)
	case errors.Is(err, agent.ErrLogin) && code == proto.Denied:
		return proto.Hint(err, MemberHint(n.Key.ID()))
	case errors.Is(err, agent.ErrLogin) && code == proto.Unreachable:
		return proto.Hint(err, "a token needs no hub, nor does a name with an address in mesh-token peer list; --hub none asks no hub")
	case errors.Is(err, agent.ErrLogin): // which has its own hints
	case agent.CodeOf(err) == hub.CodeNotFound && n.mistakenFile(p.hub.typed) != nil:
		return n.mistakenFile(p.hub.typed)
	case errors.Is(err, ErrKind): // no right helps
		return err
	case p.hub != nil && slices.Contains([]string{hub.CodeNotFound, hub.CodeOffline}, agent.CodeOf(err)):
		return proto.Hint(err, p.hub.absent())
	case code == proto.Denied:
		return proto.Hint(err, fmt.Sprintf("on the other side: mesh-token allow %s %s", n.Key.ID(), r.Need))
	case code == proto.Capability: // allow replaces what is allowed now
		return proto.Hint(err, fmt.Sprintf("on the other side: mesh-token allow %s CAPS, with %s among CAPS", n.Key.ID(), r.Need))
	case code == proto.Unreachable && p.Name != "" && p.ID != (identity.ID{}):
		return proto.Hint(err, fmt.Sprintf("a listener must run there: --wait DUR waits for one; mesh-token peer add --addr HOST:PORT %s %s changes the address", p.Name, p.ID))
	case code == proto.Identity && p.Name != "" && errors.Is(err, link.ErrNotReached):
		return proto.Hint(err, fmt.Sprintf("another node answers at this address; if %s has a new key: mesh-token peer forget %s, and add it again", p.Name, p.Name))
	}
	return err
}

// MemberHint says how a node becomes a member of a hub, also one that was removed.
func MemberHint(id identity.ID) string {
	return "an admin lets this node in, on the hub's machine: mesh-hub member add " + id.String()
}

// absent says what makes a peer that is not online at the hub come online.
func (i *introduction) absent() string {
	if _, err := identity.ParseID(i.to); err == nil {
		return "a listener must run there: --wait DUR waits for one"
	}
	room, name := i.split()
	if room != "" {
		return fmt.Sprintf("a tool must wait there with --as %s --room %s; --wait DUR waits for it", name, room)
	}
	return fmt.Sprintf("a tool must wait there with --as %s; --wait DUR waits for it", name)
}

// capsHint returns what a token with these capabilities is good for.
func capsHint(caps proto.Caps) string {
	switch {
	case caps.Has(proto.CapTTYView):
		return "mesh-tty views the terminal that it is for"
	case caps.Has(proto.CapSend):
		return "mesh-cat sends to the listener that it is for"
	}
	return "mesh-recv takes what its listener sends"
}

// reach says which machines can dial one of addrs, if those are not all: "" for all.
// bound is where the listener waits: a user who chose an address knows how far it goes.
func reach(addrs []string, bound string) string {
	at, err := netip.ParseAddrPort(bound)
	if err != nil || !at.Addr().IsUnspecified() {
		return ""
	}
	loopback := true
	for _, addr := range addrs {
		a, err := netip.ParseAddrPort(addr)
		if err != nil {
			return "" // a host name
		}
		if ip := a.Addr().Unmap(); !ip.IsLoopback() {
			loopback = false
			if !ip.IsPrivate() && !ip.IsLinkLocalUnicast() && !sharedSpace.Contains(ip) {
				return ""
			}
		}
	}
	if loopback {
		return "this machine has no network: only its own processes can use the token"
	}
	return "the token is for this network only; --addr HOST[:PORT] adds an address that others reach"
}

// sharedSpace are the addresses behind the NAT of a provider (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
