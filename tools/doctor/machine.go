package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mesh/proto/hub"
)

// maxInterfaces bounds the lines about interfaces.
const maxInterfaces = 8

// machine checks this machine itself.
func (s *section) machine(ctx context.Context, o Options) {
	s.interfaces()
	four, six := source("udp4", "192.0.2.1:9"), source("udp6", "[2001:db8::1]:9")
	s.route(four, six)
	if !four.IsValid() && six.IsValid() {
		s.nat64(ctx)
	}
	s.proxy(o)
	if len(o.Hubs) == 0 {
		s.add(Warn, "hub", "this machine has joined none", "without a hub only machines with addresses that can be dialled are reached: mesh-hub join")
	}
}

// interfaces adds a line for each interface that is up and has an address for others.
func (s *section) interfaces() {
	all, err := net.Interfaces()
	if err != nil {
		s.fail("interface", err, "")
		return
	}
	found := 0
	for _, i := range all {
		if addrs := addrsOf(i); i.Flags&net.FlagUp != 0 && len(addrs) > 0 {
			if found++; found <= maxInterfaces {
				s.add(OK, "interface", fmt.Sprintf("%s %s, MTU %d", i.Name, strings.Join(addrs, " "), i.MTU), "")
			}
		}
	}
	switch {
	case found == 0:
		s.add(Fail, "interface", "none has an address", "this machine is in no network")
	case found > maxInterfaces:
		s.add(OK, "interface", fmt.Sprintf("and %d more", found-maxInterfaces), "")
	}
}

// addrsOf returns the addresses of an interface that other machines may use.
func addrsOf(i net.Interface) (texts []string) {
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap().IsGlobalUnicast() {
			texts = append(texts, p.String())
		}
	}
	return texts
}

// source returns the address from which this machine sends to an address that no interface
// is connected with: it has a default route if there is one. Nothing is sent.
func source(network, to string) netip.Addr {
	c, err := net.Dial(network, to)
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	at, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil || !at.Addr().IsGlobalUnicast() {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// route adds the line about the default routes.
func (s *section) route(four, six netip.Addr) {
	s.out = four.IsValid() || six.IsValid()
	if !s.out {
		s.add(Fail, "route", "no default route", "this machine is in no network, or in one that leads nowhere else")
		return
	}
	s.add(OK, "route", "IPv4 "+from(four)+", IPv6 "+from(six), "")
}

// from says in words from where this machine sends.
func from(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "has no default route"
	case sharedSpace.Contains(ip):
		return "from " + ip.String() + " (shared by the provider)"
	case ip.IsPrivate():
		return "from " + ip.String() + " (private)"
	}
	return "from " + ip.String()
}

// sharedSpace is the address space between a provider's NAT and its customers (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// nat64 looks for a translator to IPv4, as RFC 7050 has it.
func (s *section) nat64(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	ips, _ := net.DefaultResolver.LookupNetIP(ctx, "ip6", "ipv4only.arpa")
	for _, ip := range ips {
		b := ip.As16()
		if end := netip.AddrFrom4([4]byte(b[12:])); end == netip.AddrFrom4([4]byte{192, 0, 0, 170}) || end == netip.AddrFrom4([4]byte{192, 0, 0, 171}) {
			p, _ := ip.Prefix(96)
			s.add(OK, "nat64", "IPv4 through "+p.String(), "")
			return
		}
	}
	s.add(Warn, "nat64", "no IPv4, and no translator to it", "machines that have IPv4 alone are reached through a relay that has both")
}

// proxy adds the line about the proxies in use.
func (s *section) proxy(o Options) {
	hubs := o.Hubs
	if len(hubs) == 0 {
		hubs = []hub.URL{{TLS: true, Host: "hub.invalid:443"}}
	}
	var texts []string
	for _, u := range hubs {
		text := "none"
		p, err := proxyFor(o, u)
		switch {
		case err != nil:
			s.fail("proxy", err, "HTTPS_PROXY=http://HOST:PORT names a proxy")
			return
		case p != nil:
			text = p.Scheme + "://" + p.Host
			if p.User != nil {
				text += ", with a name and a password"
			}
			s.name("proxy", p.Hostname())
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	s.add(OK, "proxy", strings.Join(texts, "; "), "")
}

// proxyFor returns the proxy for a hub; nil without one.
func proxyFor(o Options, u hub.URL) (*url.URL, error) {
	scheme := "https"
	if !u.TLS {
		scheme = "http"
	}
	return o.Proxy(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: scheme, Host: u.Host}})
}
