package nat

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"mesh/proto/candidate"
)

const (
	// maxHosts bounds the addresses of each family, maxOfSubnet those of one IPv6 subnet:
	// a machine may have many temporary ones there (RFC 8981).
	maxHosts    = 4
	maxOfSubnet = 2
)

// Interface is a network interface of this machine that is up.
type Interface struct {
	Name         string
	PointToPoint bool
	Addrs        []netip.Addr
}

// Host is an address of this machine.
type Host struct {
	Addr      netip.Addr
	Interface string
	// Tunnel is set for an address of a VPN. It is the last to be tried: what carries the
	// packets of the VPN may be another relay.
	Tunnel bool
}

// Interfaces returns the interfaces of this machine that are up.
func Interfaces() (list []Interface, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it was removed just now
		}
		in := Interface{Name: i.Name, PointToPoint: i.Flags&net.FlagPointToPoint != 0}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				in.Addrs = append(in.Addrs, p.Addr().Unmap().WithZone(""))
			}
		}
		list = append(list, in)
	}
	return list, nil
}

// Sources returns the addresses from which this machine sends to others, or without any
// to hosts for which the default routes serve. It sends nothing.
func Sources(to ...netip.AddrPort) (list []netip.Addr) {
	if len(to) == 0 {
		to = []netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:9"), netip.MustParseAddrPort("[2001:db8::1]:9")}
	}
	for _, at := range to {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
		if err != nil {
			continue // no route
		}
		list = append(list, conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""))
		conn.Close()
	}
	return list
}

// LocalHosts returns the addresses at which others may reach this machine, the best ones
// first: [Hosts] with what [Interfaces] and [Sources] say. With only4 they are IPv4 ones.
func LocalHosts(only4 bool, to ...netip.AddrPort) ([]Host, error) {
	all, err := Interfaces()
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Addrs = slices.DeleteFunc(all[i].Addrs, func(a netip.Addr) bool { return only4 && !a.Is4() })
	}
	return Hosts(all, Sources(to...)), nil
}

// Hosts picks the addresses of interfaces at which others may reach this machine: at most
// 4 of each family, 2 of one IPv6 subnet. Those of tunnels come last, the sources, from
// which the system itself sends, come before others, and IPv6 before IPv4.
//
// It leaves out the networks that virtual machines and containers have inside this machine,
// unless a source is there or there is no other address. A machine without any has its
// first loopback address.
func Hosts(interfaces []Interface, sources []netip.Addr) []Host {
	var all, inside, loopback []Host
	for _, i := range interfaces {
		isInside := isInternal(i.Name) && !slices.ContainsFunc(i.Addrs, func(a netip.Addr) bool { return slices.Contains(sources, a) })
		for _, a := range i.Addrs {
			h := Host{a, i.Name, isTunnel(i)}
			switch {
			case a.IsLoopback():
				loopback = append(loopback, h)
			case !isReachable(a):
			case isInside:
				inside = append(inside, h)
			default:
				all = append(all, h)
			}
		}
	}
	if len(all) == 0 {
		all = inside
	}
	if len(all) == 0 {
		all = loopback[:min(1, len(loopback))]
	}
	slices.SortStableFunc(all, func(a, b Host) int {
		return rank(b, sources) - rank(a, sources)
	})
	return few(all)
}

func rank(h Host, sources []netip.Addr) (n int) {
	if !h.Tunnel {
		n += 4
	}
	if slices.Contains(sources, h.Addr) {
		n += 2
	}
	if h.Addr.Is6() {
		n++
	}
	return n
}

// few keeps the first addresses of each family and subnet, each once.
func few(all []Host) (list []Host) {
	var seen []netip.Addr
	families, subnets := map[bool]int{}, map[netip.Prefix]int{}
	for _, h := range all {
		subnet := netip.PrefixFrom(h.Addr, h.Addr.BitLen())
		if h.Addr.Is6() {
			subnet, _ = h.Addr.Prefix(64)
		}
		if families[h.Addr.Is6()] == maxHosts || subnets[subnet] == maxOfSubnet || slices.Contains(seen, h.Addr) {
			continue
		}
		families[h.Addr.Is6()]++
		subnets[subnet]++
		seen, list = append(seen, h.Addr), append(list, h)
	}
	return list
}

// useless are addresses that say how this machine gets through an IPv6 or IPv4 network, and
// at which nobody reaches it: 6to4 (RFC 3056), Teredo (RFC 4380), 464XLAT (RFC 7335).
var useless = []netip.Prefix{
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("192.0.0.0/29"),
}

// isReachable reports whether a peer would dial an address: each refuses some.
func isReachable(a netip.Addr) bool {
	if slices.ContainsFunc(useless, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return false
	}
	return candidate.At(candidate.Host, candidate.UDP, netip.AddrPortFrom(a, 1), 0).Dialable(false)
}

// isInternal reports whether the name of an interface is one of a network inside this
// machine, of Docker, libvirt, Kubernetes, LXD, VMware or VirtualBox.
func isInternal(name string) bool {
	id, ok := strings.CutPrefix(name, "br-") // Docker has 12 hexadecimal digits, OpenWrt "br-lan"
	if ok && len(id) == 12 && strings.Trim(id, "0123456789abcdef") == "" {
		return true
	}
	return begins(name, "docker", "veth", "virbr", "cni", "lxdbr", "vmnet", "vboxnet")
}

// ThroughTunnel reports whether this machine sends through a VPN what it sends to an address.
// A VPN that all goes through does not count: nothing is better there. It sends nothing, and
// is false if the system does not say.
func ThroughTunnel(to netip.Addr) bool {
	all, err := net.Interfaces()
	if err != nil || !slices.ContainsFunc(all, func(i net.Interface) bool {
		return isTunnel(Interface{Name: i.Name, PointToPoint: i.Flags&net.FlagPointToPoint != 0})
	}) {
		return false
	}
	interfaces, err := Interfaces()
	return err == nil && throughTunnel(interfaces, to, Sources(netip.AddrPortFrom(to, 9)), Sources())
}

// throughTunnel is ThroughTunnel where the system sends from the sources what it sends to an
// address, and from the defaults what it sends anywhere.
func throughTunnel(interfaces []Interface, to netip.Addr, sources, defaults []netip.Addr) bool {
	has := func(i Interface, addrs []netip.Addr) bool {
		return slices.ContainsFunc(i.Addrs, func(a netip.Addr) bool { return slices.Contains(addrs, a) })
	}
	return slices.ContainsFunc(interfaces, func(i Interface) bool {
		return isTunnel(i) && has(i, sources) && !has(i, defaults) && !slices.Contains(i.Addrs, to)
	})
}

func isTunnel(i Interface) bool {
	return begins(i.Name, "tun", "utun", "wg", "tailscale", "zt") || i.PointToPoint && !begins(i.Name, "ppp")
}

func begins(name string, prefixes ...string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// LocalAddrs returns the addresses of this machine's interfaces; nil if they are not known.
func LocalAddrs() (list []netip.Addr) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}
