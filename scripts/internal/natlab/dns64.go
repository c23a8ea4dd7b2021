package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// serveDNS answers with the AAAA records of the names of this machine. A name that has IPv4
// addresses alone gets them inside the prefix, as ipv4only.arpa does.
func serveDNS(text, addr string) error {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Bits() != 96 {
		return fmt.Errorf("%s is no prefix with 96 bits", text)
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return err
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		if answer, err := answer(m, prefix); err == nil {
			_, _ = c.WriteTo(answer, from)
		}
	}
}

func answer(m dnsmessage.Message, prefix netip.Prefix) ([]byte, error) {
	q := m.Questions[0]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true}
	m.Additionals = nil
	addrs := addrsOf(q.Name.String(), prefix)
	if len(addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		if q.Type == dnsmessage.TypeAAAA {
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}

// addrsOf returns the IPv6 addresses of a name.
func addrsOf(name string, prefix netip.Prefix) (six []netip.Addr) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "ipv4only.arpa" {
		return []netip.Addr{inside(prefix, netip.AddrFrom4([4]byte{192, 0, 0, 170})), inside(prefix, netip.AddrFrom4([4]byte{192, 0, 0, 171}))}
	}
	all, _ := net.DefaultResolver.LookupNetIP(context.Background(), "ip", name)
	for _, a := range all {
		if a = a.Unmap(); a.Is6() {
			six = append(six, a)
		}
	}
	for _, a := range all {
		if a = a.Unmap(); a.Is4() && len(six) == 0 {
			return []netip.Addr{inside(prefix, a)}
		}
	}
	return six
}

// inside returns the address at which a translator with the prefix has an IPv4 address.
func inside(prefix netip.Prefix, four netip.Addr) netip.Addr {
	b := prefix.Addr().As16()
	copy(b[12:], four.AsSlice())
	return netip.AddrFrom16(b)
}
