package nat_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto/candidate"
	"mesh/proto/nat"
	"mesh/proto/udp"
)

// checkHostile sends the checks that a hostile peer asks for in many sessions: in the first
// ones to what nobody may send to, then to an address and port of its own for each
// candidate.
func checkHostile(t *testing.T) {
	conn, err := udp.Listen("[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	m := nat.NewMux(&quic.Transport{Conn: conn})
	defer m.Close()
	var bad []candidate.Candidate
	for addr := range strings.FieldsSeq(forbidden + " [::1]:4600 [::]:4600 [fe80::1]:4600 [ff02::1]:4600 [64:ff9b::7f00:1]:4600") {
		if !strings.HasPrefix(addr, "198.18.") { // ports count for TCP only
			bad = append(bad, candidate.Candidate{Type: candidate.ServerReflexive, Proto: candidate.UDP, Addr: addr})
		}
	}
	begun := time.Now()
	for i := range 200 {
		s := nat.Session{Dialer: i%2 == 0}
		binary.BigEndian.PutUint64(s.ID[:], uint64(i))
		c := m.Check(s)
		if i < 4 {
			c.Remote(0, bad)
			continue
		}
		for gen := range 3 {
			var list []candidate.Candidate
			for n := range 10_000 {
				at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), byte(gen)}), uint16(40000+n))
				list = append(list, candidate.At(candidate.ServerReflexive, candidate.UDP, at, 1))
			}
			c.Remote(uint32(gen), list)
		}
	}
	<-time.After(6 * time.Second) // a round and a part of the next sessions'
	m.Close()
	fmt.Println(time.Since(begun).Milliseconds())
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// A firewall counts the checks of real sockets. It drops none: after an error a socket
// sends once more.
func TestChecksSendLittle(t *testing.T) {
	t.Parallel()
	n := namespaces(t, "a", "b")
	n.join(t, "a", "nobody", "b", "eth0")
	n.run(t, "a", "ip link set nobody arp off", "")
	n.run(t, "a", "ip addr add 192.0.2.7/32 dev nobody", "")
	n.run(t, "a", "ip addr add 2001:db8::7/128 dev nobody nodad", "")
	n.run(t, "a", "ip route add default dev nobody src 192.0.2.7", "")
	n.run(t, "a", "ip -6 route add default dev nobody", "")
	n.run(t, "a", "nft -f -", `table inet count {
  counter forbidden { }
  counter large { }
  set asked { type ipv4_addr . inet_service; flags dynamic; size 65535; }
  chain out { type filter hook output priority 0;
    meta l4proto != udp accept
    ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } counter name forbidden
    meta nfproto ipv6 counter name forbidden
    meta length > 148 counter name large
    ip protocol udp add @asked { ip daddr . udp dport counter }
  }
}`)
	var ms int
	if text := n.start(t, "a", "checks").line(t); text != "" {
		var err error
		if ms, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, counter := range []string{"forbidden", "large"} {
		if got := n.run(t, "a", "nft list counter inet count "+counter, ""); !strings.Contains(got, "packets 0 ") {
			t.Errorf("%s packets left: %s", counter, got)
		}
	}
	packets, most := 0, 0
	asked := regexp.MustCompile(`198\.18\.\d+\.\d+ \. (\d+) counter packets (\d+)`).FindAllStringSubmatch(n.run(t, "a", "nft list set inet count asked", ""), -1)
	for _, m := range asked {
		if port, _ := strconv.Atoi(m[1]); port >= 40016 {
			t.Fatalf("got a check of port %d, want only 16 candidates of a list", port)
		}
		count, _ := strconv.Atoi(m[2])
		packets, most = packets+count, max(most, count)
	}
	if limit := 40 + 160*(ms+1)/1000; packets > limit || packets < 200 {
		t.Errorf("got %d packets in %d ms, want at most %d, and 200 at least", packets, ms, limit)
	}
	if most > 16 {
		t.Errorf("got %d checks of one candidate, want at most 16", most)
	}
}
