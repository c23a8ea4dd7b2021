package candidate_test

import (
	"net/netip"
	"strings"
	"testing"

	"mesh/proto/candidate"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"host udp 192.0.2.7:4600 2130706431",
		"host tcp [2001:db8::7]:1 0",
		"srflx udp 198.51.100.1:65535 4294967295",
		"prflx udp 198.51.100.1:65535 1",
		"port-mapped tcp 198.51.100.1:65535 1",
		"relay tcp hub.example:443 255",
		"relay tcp 192.0.2.7:443 255",
		"relay tcp [2001:db8::7]:443 255",
		"relay wss wss://hub.example/relay 255",
		"relay wss wss://hub.example:8443 255",
		"relay wss wss://192.0.2.7 255",
	} {
		c, err := candidate.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := c.String(); got != text {
			t.Errorf("%q: got %q, want the same", text, got)
		}
		addr, ok := c.AddrPort()
		if ok != (c.Type != candidate.Relay) || ok && addr.String() != c.Addr {
			t.Errorf("%q: got address %s, %v", text, addr, ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"",
		"host udp 192.0.2.7:4600",
		"host udp 192.0.2.7:4600 1 1",
		"host  udp 192.0.2.7:4600 1",
		" host udp 192.0.2.7:4600 1",
		"host udp 192.0.2.7:4600 1 ",
		"host udp 192.0.2.7:4600 1\n",
		"Host udp 192.0.2.7:4600 1",
		"peer udp 192.0.2.7:4600 1",
		"host quic 192.0.2.7:4600 1",
		"host wss wss://hub.example 1",
		"relay udp 192.0.2.7:4600 1",
		"host udp 192.0.2.7:4600 01",
		"host udp 192.0.2.7:4600 +1",
		"host udp 192.0.2.7:4600 -1",
		"host udp 192.0.2.7:4600 4294967296",
		"host udp 192.0.2.7:0 1",
		"host udp 192.0.2.7:04600 1",
		"host udp 192.0.2.7:65536 1",
		"host udp 192.0.2.07:4600 1",
		"host udp host.example:4600 1",
		"host udp [2001:DB8::7]:1 1",
		"host udp [2001:db8:0:0::7]:1 1",
		"host udp [::ffff:192.0.2.7]:1 1",
		"host udp [fe80::1%eth0]:1 1",
		"relay tcp hub.example 1",
		"relay tcp hub.example:0 1",
		"relay tcp hub.example:0443 1",
		"relay tcp HUB.example:443 1",
		"relay tcp -hub.example:443 1",
		"relay tcp hub..example:443 1",
		"relay tcp hub.example.:443 1",
		"relay tcp 2130706433:443 1",
		"relay tcp 127.1:443 1",
		"relay tcp 0x7f.0.0.1:443 1",
		"relay tcp " + strings.Repeat("a", 64) + ".example:443 1",
		"relay tcp " + strings.Repeat("a.", 120) + "example:443 1",
		"relay wss hub.example:443 1",
		"relay wss ws://hub.example 1",
		"relay wss WSS://hub.example 1",
		"relay wss wss:// 1",
		"relay wss wss://u@hub.example 1",
		"relay wss wss://hub.example/?q 1",
		"relay wss wss://hub.example/#f 1",
		"relay wss wss://hub.example/? 1",
		"relay wss wss://hub.example/é 1",
		"relay wss wss://Hub.example 1",
	} {
		if c, err := candidate.Parse(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, c)
		}
	}
}

func TestPriority(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddrPort("192.0.2.7:4600")
	order := []candidate.Candidate{
		candidate.At(candidate.Host, candidate.TCP, addr, 65535),
		candidate.At(candidate.Host, candidate.UDP, addr, 0),
		candidate.At(candidate.PeerReflexive, candidate.UDP, addr, 65535),
		candidate.At(candidate.PortMapped, candidate.UDP, addr, 65535),
		candidate.At(candidate.ServerReflexive, candidate.UDP, addr, 65535),
		candidate.At(candidate.Relay, candidate.TCP, addr, 65535),
	}
	for i, c := range order[1:] {
		if order[i].Priority <= c.Priority {
			t.Errorf("got %v before %v, want the higher priority first", order[i], c)
		}
	}
	if got := order[0].Priority; got != 2130706431 { // the example of RFC 8839, section 5.1
		t.Errorf("got priority %d of a host candidate, want 2130706431", got)
	}
	if got, err := candidate.Parse(order[0].String()); err != nil || got != order[0] {
		t.Errorf("got %v, %v, want %v", got, err, order[0])
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"host udp 192.0.2.7:4600 2130706431", "host tcp [2001:db8::7]:1 0", "relay tcp hub.example:443 255",
		"relay wss wss://hub.example/relay 255", "host udp [fe80::1%a]:1 1", "relay wss wss://h/%41 1", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := candidate.Parse(text)
		if err != nil {
			return
		}
		if got := c.String(); got != text || len(text) > candidate.MaxTextBytes {
			t.Errorf("%q: got %q, want the same", text, got)
		}
		if addr, ok := c.AddrPort(); ok && (addr.Port() == 0 || addr.Addr().Is4In6()) {
			t.Errorf("%q: got address %s", text, addr)
		}
	})
}
