package nat_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mesh/proto/nat"
)

// up is an interface; its name ends with "*" if it is a point-to-point one.
func up(name string, addrs ...string) nat.Interface {
	i := nat.Interface{Name: strings.TrimSuffix(name, "*"), PointToPoint: strings.HasSuffix(name, "*")}
	for _, a := range addrs {
		i.Addrs = append(i.Addrs, netip.MustParseAddr(a))
	}
	return i
}

func TestHosts(t *testing.T) {
	t.Parallel()
	lo := up("lo", "127.0.0.1", "::1")
	many := func(name, pattern string, n int) nat.Interface {
		i := nat.Interface{Name: name}
		for k := range n {
			i.Addrs = append(i.Addrs, netip.MustParseAddr(fmt.Sprintf(pattern, k+1)))
		}
		return i
	}
	for _, tt := range []struct {
		name       string
		interfaces []nat.Interface
		sources    string
		want       string
	}{
		{"one address", []nat.Interface{lo, up("eth0", "192.0.2.7", "fe80::1")}, "192.0.2.7", "192.0.2.7"},
		{"IPv6 first", []nat.Interface{lo, up("eth0", "192.0.2.7", "2001:db8::7")}, "192.0.2.7 2001:db8::7", "2001:db8::7 192.0.2.7"},
		{"what the system uses first", []nat.Interface{lo, up("eth0", "192.0.2.7", "2001:db8::7", "2001:db8::8"), up("wlan0", "198.51.100.7")}, "198.51.100.7 2001:db8::8", "2001:db8::8 198.51.100.7 2001:db8::7 192.0.2.7"},
		{"a private address", []nat.Interface{lo, up("eth0", "192.168.1.7", "fd00::7")}, "", "fd00::7 192.168.1.7"},
		{"tunnels last", []nat.Interface{lo, up("wg0", "10.9.0.2", "fd09::2"), up("tailscale0", "100.64.0.7"), up("eth0", "192.0.2.7")}, "10.9.0.2 192.0.2.7", "192.0.2.7 10.9.0.2 fd09::2 100.64.0.7"},
		{"tunnels of other names", []nat.Interface{up("nordlynx*", "10.5.0.2"), up("utun3", "10.6.0.2"), up("zt5u4", "fd07::2"), up("tun0", "10.8.0.2"), up("ppp0*", "192.0.2.7")}, "", "192.0.2.7 fd07::2 10.5.0.2 10.6.0.2 10.8.0.2"},
		{"networks of containers", []nat.Interface{lo, up("docker0", "172.17.0.1"), up("br-0123456789ab", "172.18.0.1"), up("virbr0", "192.168.122.1"), up("vethab12", "10.1.0.1"), up("cni0", "10.2.0.1"), up("lxdbr0", "10.3.0.1"), up("vmnet8", "10.4.0.1"), up("vboxnet0", "192.168.56.1"), up("eth0", "192.0.2.7")}, "192.0.2.7", "192.0.2.7"},
		{"a bridge with the default route", []nat.Interface{lo, up("virbr0", "192.168.122.1"), up("eth0", "192.0.2.7")}, "192.168.122.1", "192.168.122.1 192.0.2.7"},
		{"nothing but a bridge", []nat.Interface{lo, up("docker0", "172.17.0.1")}, "", "172.17.0.1"},
		{"other bridges", []nat.Interface{lo, up("br-lan", "192.168.1.1"), up("br0", "192.168.2.1"), up("wan", "192.0.2.7")}, "192.0.2.7", "192.0.2.7 192.168.1.1 192.168.2.1"},
		{"nothing", []nat.Interface{up("eth0", "fe80::1", "169.254.7.7")}, "", ""},
		{"loopback alone", []nat.Interface{lo, up("eth0", "fe80::1")}, "", "127.0.0.1"},
		{"what nobody reaches", []nat.Interface{lo, up("eth0", "2002:c000:207::1", "2001:0:c000:207::1", "192.0.0.2", "169.254.1.1", "224.0.0.1", "0.0.0.0", "240.0.0.1", "255.255.255.255", "192.0.2.7")}, "192.0.0.2", "192.0.2.7"},
		{"an address twice", []nat.Interface{up("eth0", "192.0.2.7"), up("eth1", "192.0.2.7")}, "", "192.0.2.7"},
		{"many of IPv4", []nat.Interface{many("eth0", "192.0.2.%d", 9)}, "192.0.2.9", "192.0.2.9 192.0.2.1 192.0.2.2 192.0.2.3"},
		{"many temporary ones", []nat.Interface{many("eth0", "2001:db8::%x", 9), up("eth0", "192.0.2.7")}, "2001:db8::9", "2001:db8::9 2001:db8::1 192.0.2.7"},
		{"many subnets", []nat.Interface{many("eth0", "2001:db8:0:%x::1", 9)}, "", "2001:db8:0:1::1 2001:db8:0:2::1 2001:db8:0:3::1 2001:db8:0:4::1"},
	} {
		var sources []netip.Addr
		for s := range strings.FieldsSeq(tt.sources) {
			sources = append(sources, netip.MustParseAddr(s))
		}
		var got []string
		for _, h := range nat.Hosts(tt.interfaces, sources) {
			got = append(got, h.Addr.String())
		}
		if want := strings.Fields(tt.want); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", tt.name, got, want)
		}
	}
}

func TestHostTunnel(t *testing.T) {
	t.Parallel()
	for _, h := range nat.Hosts([]nat.Interface{up("wg0", "10.9.0.2"), up("eth0", "192.0.2.7")}, nil) {
		if want := h.Interface == "wg0"; h.Tunnel != want {
			t.Errorf("%s of %s: got tunnel %v, want %v", h.Addr, h.Interface, h.Tunnel, want)
		}
	}
}

// What leaves by the interface of a VPN goes through a tunnel, unless everything does.
func TestThroughTunnel(t *testing.T) {
	t.Parallel()
	machine := []nat.Interface{up("eth0", "192.0.2.7"), up("wg0", "10.9.0.2"), up("nordlynx*", "10.5.0.2"), up("ppp0*", "198.51.100.7")}
	for _, tt := range []struct {
		name, to, sources, defaults string
		want                        bool
	}{
		{"a peer of WireGuard", "10.9.0.3", "10.9.0.2", "192.0.2.7", true},
		{"a network behind it", "192.168.7.1", "10.9.0.2", "192.0.2.7", true},
		{"a point-to-point interface", "10.5.0.3", "10.5.0.2", "192.0.2.7", true},
		{"a dialled line", "203.0.113.1", "198.51.100.7", "192.0.2.7", false},
		{"the internet", "203.0.113.1", "192.0.2.7", "192.0.2.7", false},
		{"everything through WireGuard", "203.0.113.1", "10.9.0.2", "10.9.0.2", false},
		{"this machine itself", "10.9.0.2", "10.9.0.2", "192.0.2.7", false},
		{"no route", "10.9.0.3", "", "192.0.2.7", false},
		{"no default route", "10.9.0.3", "10.9.0.2", "", true},
	} {
		list := func(text string) (all []netip.Addr) {
			for s := range strings.FieldsSeq(text) {
				all = append(all, netip.MustParseAddr(s))
			}
			return all
		}
		if got := nat.ThroughTunnelOf(machine, netip.MustParseAddr(tt.to), list(tt.sources), list(tt.defaults)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if nat.ThroughTunnel(loopback) {
		t.Error("this machine reaches itself through a tunnel")
	}
}

// The addresses of this machine, whatever it has, keep to the rules.
func TestLocalHosts(t *testing.T) {
	t.Parallel()
	for _, only4 := range []bool{false, true} {
		list, err := nat.LocalHosts(only4)
		if err != nil {
			t.Fatal(err)
		}
		interfaces, err := nat.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list {
			i := slices.IndexFunc(interfaces, func(i nat.Interface) bool { return i.Name == h.Interface })
			if i < 0 || !slices.Contains(interfaces[i].Addrs, h.Addr) {
				t.Errorf("got %s of %s, which it does not have", h.Addr, h.Interface)
			}
			if only4 && !h.Addr.Is4() || h.Addr.Is4In6() || h.Addr.Zone() != "" {
				t.Errorf("only4 %v: got %s", only4, h.Addr)
			}
		}
	}
	if got := nat.Sources(netip.MustParseAddrPort("127.0.0.1:9")); !slices.Equal(got, []netip.Addr{loopback}) {
		t.Errorf("got %v as the source of what is sent to this machine itself, want %v", got, loopback)
	}
}
