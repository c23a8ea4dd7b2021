package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// maxSTUN bounds the STUN servers that are asked, in each family.
const maxSTUN = 4

const (
	blockedHint = "no UDP gets out, or no answer in: links use TCP or a relay, and no UDP hole can be made"
	edmHint     = "no hole can be made to a machine whose router lets answers in alone, as most do: such links go through a relay; a forwarded port helps, or UPnP or NAT-PMP in the router"
	mtuHint     = "QUIC needs packets of 1280 bytes: links use TCP"
)

// family is IPv4 or IPv6.
type family struct {
	name, network string
	is4           bool
}

var families = []family{{"IPv4", "udp4", true}, {"IPv6", "udp6", false}}

// udp asks STUN servers, HOST:PORT each, at the addresses that are allowed, and adds the
// lines about UDP.
func (s *section) udp(ctx context.Context, servers []string, allowed func(netip.AddrPort) bool) {
	ctx, cancel := context.WithTimeout(ctx, stunTime)
	defer cancel()
	var addrs []netip.AddrPort
	var unknown []string // hosts
	for _, server := range servers {
		found, err := resolveSTUN(ctx, server)
		if host, _, _ := net.SplitHostPort(server); err != nil && !slices.Contains(unknown, host) {
			unknown = append(unknown, host)
			text := reason(err)
			if timedOut(err) {
				text = "no name server answers"
			}
			s.add(Warn, "udp", fmt.Sprintf("no address of %s: %s", host, text), blockedHint)
		}
		for _, at := range found {
			if allowed(at) && routed(at.Addr()) && !slices.Contains(addrs, at) {
				addrs = append(addrs, at)
			}
		}
	}
	var found [2]*nat.Findings
	var wg sync.WaitGroup
	for i, f := range families {
		some := slices.DeleteFunc(slices.Clone(addrs), func(a netip.AddrPort) bool { return a.Addr().Is4() != f.is4 })
		if some = some[:min(len(some), maxSTUN)]; len(some) > 0 {
			wg.Go(func() { found[i] = examine(ctx, f, some) })
		}
	}
	wg.Wait()
	for i, f := range families {
		if found[i] != nil {
			s.found(f, found[i])
			s.kind = cmp.Or(s.kind, found[i].Kind)
		}
	}
}

// examine returns nil if there is no socket.
func examine(ctx context.Context, f family, servers []netip.AddrPort) *nat.Findings {
	open := func() (net.PacketConn, error) {
		c := net.ListenConfig{Control: unbroken}
		return c.ListenPacket(ctx, f.network, ":0")
	}
	found, err := nat.Examine(ctx, open, servers, nat.LocalAddrs(), canUnbroken)
	if err != nil {
		return nil
	}
	return &found
}

// resolveSTUN returns the addresses of HOST:PORT.
func resolveSTUN(ctx context.Context, server string) (addrs []netip.AddrPort, err error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	return addrs, nil
}

// dialable returns what a hub may name as a STUN server: local ones only if it is itself on
// this machine.
func dialable(local bool) func(netip.AddrPort) bool {
	return func(at netip.AddrPort) bool {
		return candidate.At(candidate.Host, candidate.UDP, at, 0).Dialable(local)
	}
}

// found adds the lines about UDP in one family.
func (s *section) found(f family, got *nat.Findings) {
	var answers, silent []string
	var mapped netip.AddrPort
	for _, server := range got.Servers {
		if server.Mapped.IsValid() {
			answers = append(answers, server.Server.String()+" in "+ms(server.RTT))
			mapped = cmp.Or(mapped, server.Mapped)
			continue
		}
		silent = append(silent, server.Server.String())
	}
	s.out = s.out || len(answers) > 0
	switch {
	case len(answers) == 0:
		s.add(Warn, "udp", f.name+": no answer from "+strings.Join(silent, ", "), blockedHint)
		return
	case len(silent) > 0:
		s.add(Warn, "udp", fmt.Sprintf("%s: %s; no answer from %s", f.name, strings.Join(answers, ", "), strings.Join(silent, ", ")), "a firewall may let out some ports alone")
	default:
		s.add(OK, "udp", f.name+": "+strings.Join(answers, ", "), "")
	}
	if f.is4 && got.Kind != nat.Open {
		for _, server := range got.Servers {
			if server.Mapped.IsValid() {
				s.seen = append(s.seen, server.Mapped.Addr())
			}
		}
	}
	state, text, hint := natText(got, mapped)
	s.add(state, "nat", f.name+": "+text, hint)
	s.mtu(f, got.MTU)
}

// natText says in words what the routers do.
func natText(got *nat.Findings, mapped netip.AddrPort) (state State, text, hint string) {
	state, text = OK, string(got.Kind)
	switch got.Kind {
	case nat.Open:
		text += ": the address is this machine's own"
	case nat.EIM:
		text += ": one address for all, " + mapped.String()
	case nat.EDM:
		state, hint = Warn, edmHint
		text += ": another address for each destination, " + mapped.String() + " for one"
	default:
		text += ": seen from " + mapped.String()
	}
	switch got.FromOtherPort {
	case nat.Yes:
		text += "; lets in other ports of a host"
	case nat.No:
		text += "; lets answers in alone"
	}
	switch got.Hairpin {
	case nat.Yes:
		text += "; hairpins"
	case nat.No:
		text += "; no hairpin"
	}
	return state, text, hint
}

// mtu adds the line about the size of packets.
func (s *section) mtu(f family, size int) {
	switch {
	case !canUnbroken:
	case size == 0:
		s.add(Warn, "mtu", fmt.Sprintf("%s: packets of %d bytes do not pass", f.name, nat.Sizes[0]), mtuHint)
	default:
		s.add(OK, "mtu", fmt.Sprintf("%s: packets of %d bytes pass", f.name, size), "")
	}
}

// stunTime is how long all questions to STUN servers may take: see [nat.Examine].
const stunTime = 3 * time.Second

// ownSTUN checks UDP by the STUN servers of the settings.
func (s *section) ownSTUN(ctx context.Context, servers []string) {
	for _, server := range servers {
		host, _, _ := net.SplitHostPort(server)
		s.name("stun", host)
	}
	s.udp(ctx, servers, func(netip.AddrPort) bool { return true })
}

// stun checks UDP by the STUN servers that the hub names.
func (c *hubCheck) stun(ctx context.Context, servers []string) {
	if len(servers) == 0 {
		c.add(Warn, "udp", "the hub names no STUN server", "without one no hole can be made: mesh-hub serve without --stun none")
		return
	}
	for _, server := range servers {
		if host, _, err := net.SplitHostPort(server); err == nil {
			c.name("stun", host)
		}
	}
	c.udp(ctx, servers, dialable(proto.IsLoopbackHost(c.url.Name())))
}
