package nat_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// family has the addresses of the namespaces.
type family struct {
	network, stun string
	hub, wan, lan string // of one host each, with a number for the end
	bits          int
}

var (
	four = family{"tcp4", "203.0.113.1:3478", "203.0.113.1", "203.0.113.1%d", "10.77.%d.", 24}
	six  = family{"tcp6", "[2001:db8:ffff::1]:3478", "2001:db8:ffff::1", "2001:db8:ffff::1%d", "2001:db8:%d::", 64}
)

// networks are the namespaces of two ends, each behind a router, and of a STUN server:
//
//	a 10.77.1.2 -- na 203.0.113.11 -- hub 203.0.113.1 -- nb 203.0.113.12 -- b 10.77.2.2
//	a 2001:db8:1::2 -- na 2001:db8:ffff::11 -- hub 2001:db8:ffff::1 -- nb … -- b …
type networks struct{ prefix string }

var built atomic.Int64

// run runs a command in a namespace, or outside all of them, and returns its output.
func (n networks) run(t *testing.T, where, command, input string) string {
	t.Helper()
	args := strings.Fields(command)
	if where != "" {
		args = append([]string{"ip", "netns", "exec", n.prefix + where}, args...)
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// namespaces makes empty namespaces, or skips the test where there are none.
func namespaces(t *testing.T, names ...string) networks {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft", "sysctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	n := networks{fmt.Sprintf("meshnat%d-%d-", os.Getpid(), built.Add(1))}
	for _, name := range names {
		if out, err := exec.Command("ip", "netns", "add", n.prefix+name).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.prefix+name).Run() })
		_ = exec.Command("ip", "netns", "exec", n.prefix+name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0").Run()
		n.run(t, name, "ip link set lo up", "")
	}
	return n
}

// build makes two ends with routers of these rules, and the network of a STUN server
// between them.
func build(t *testing.T, f family, rulesA, rulesB string) networks {
	t.Helper()
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil && f == six {
		t.Skip("this kernel has no IPv6")
	}
	n := namespaces(t, "hub", "na", "nb", "a", "b")
	add := func(where, addr, device string) {
		flags := map[family]string{six: " nodad"}[f]
		n.run(t, where, fmt.Sprintf("ip addr add %s/%d dev %s%s", addr, f.bits, device, flags), "")
	}
	n.run(t, "hub", "ip link add br0 type bridge", "")
	n.run(t, "hub", "ip link set br0 up", "")
	add("hub", f.hub, "br0")
	for i, end := range []string{"a", "b"} {
		router, lan := "n"+end, fmt.Sprintf(f.lan, i+1)
		n.join(t, "hub", "to-"+end, router, "wan")
		n.run(t, "hub", "ip link set to-"+end+" master br0", "")
		n.join(t, router, "lan", end, "eth0")
		add(router, fmt.Sprintf(f.wan, i+1), "wan")
		add(router, lan+"1", "lan")
		n.run(t, router, "sysctl -qw net.ipv4.ip_forward=1", "")
		add(end, lan+"2", "eth0")
		n.run(t, end, "ip route add default via "+lan+"1", "")
		n.run(t, router, "nft -f -", []string{rulesA, rulesB}[i])
	}
	if f == six {
		n.routeSix(t)
	}
	return n
}

// routeSix lets the routers forward IPv6 to each other: nobody translates its addresses.
func (n networks) routeSix(t *testing.T) {
	for i, router := range []string{"na", "nb"} {
		n.run(t, router, "sysctl -qw net.ipv6.conf.all.forwarding=1", "")
		to := fmt.Sprintf(six.lan+"/%d via "+six.wan, i+1, six.bits, i+1)
		n.run(t, "hub", "ip route add "+to, "")
		n.run(t, []string{"nb", "na"}[i], "ip route add "+to, "")
	}
}

func (n networks) join(t *testing.T, one, device, other, peer string) {
	n.run(t, "", fmt.Sprintf("ip -n %s link add %s type veth peer name %s netns %s", n.prefix+one, device, peer, n.prefix+other), "")
	n.run(t, one, "ip link set "+device+" up", "")
	n.run(t, other, "ip link set "+peer+" up", "")
}

// router returns the rules of a NAT that lets only answers in.
func router(masquerade string) string {
	return `table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" ` + masquerade + `; }
  chain input { type filter hook input priority 0; iifname "wan" ct state established,related accept; iifname "wan" drop; }
  chain forward { type filter hook forward priority 0; iifname "wan" ct state established,related accept; iifname "wan" drop; }
}`
}

// firewall are the rules of a router that translates nothing and lets only answers in.
const firewall = `table ip6 filter {
  chain forward { type filter hook forward priority 0; iifname "wan" ct state established,related accept; iifname "wan" drop; }
}`

// end is a process in a namespace: TestHoleEnd.
type end struct {
	in  io.Writer
	out *bufio.Reader
}

func (n networks) start(t *testing.T, where string, args ...string) end {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("ip", "netns", "exec", n.prefix+where, exe, "-test.run=^TestHoleEnd$", "-test.count=1")
	c.Env = append(os.Environ(), "MESH_HOLE_END="+strings.Join(args, " "))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return end{in, bufio.NewReader(out)}
}

func (e end) line(t *testing.T) string {
	t.Helper()
	text, err := e.out.ReadString('\n')
	if err != nil {
		t.Fatalf("a process in a namespace ended: %q, %v", text, err)
	}
	return strings.TrimSpace(text)
}

// TestHoleEnd is no test, but the process that [networks.start] runs.
func TestHoleEnd(t *testing.T) {
	role, network, _ := strings.Cut(os.Getenv("MESH_HOLE_END"), " ")
	f := map[string]family{"tcp6": six, "": four, "tcp4": four}[network]
	if role == "" {
		t.Skip("other tests run this one in their namespaces")
	}
	switch role {
	case "stun":
		holeServer(t, f)
		return
	case "hostile":
		dialHostile(t)
		return
	case "checks":
		checkHostile(t)
		return
	}
	h, err := nat.OpenHole(nat.HoleOptions{Network: f.network, Dialer: role == "dialer"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	mapped, err := h.Map(ctx, netip.MustParseAddrPort(f.stun))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(mapped)
	text, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	remote := candidate.At(candidate.ServerReflexive, candidate.TCP, netip.MustParseAddrPort(strings.TrimSpace(text)), 1)
	select {
	case c := <-h.Connect(ctx, []candidate.Candidate{remote}):
		fmt.Println(greet(c, role))
	case <-time.After(4 * time.Second): // Connect dials for 3
		fmt.Println("nothing")
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test ends
}

func holeServer(t *testing.T, f family) {
	l, err := net.Listen(f.network, f.stun)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go answerSTUN(c)
	}
}

// greet returns what the other end says on the connection: its role.
func greet(c net.Conn, role string) string {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, role+"\n"); err != nil {
		return err.Error()
	}
	got, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(got)
}

func TestHolesThroughRouters(t *testing.T) {
	t.Parallel()
	home, symmetric := router("masquerade"), router("masquerade fully-random")
	for _, tt := range []struct {
		name    string
		family  family
		a, b    string
		seen    [2]string // each end, by the STUN server
		punched bool
	}{
		{"two home routers", four, home, home, [2]string{"203.0.113.11:", "203.0.113.12:"}, true},
		{"a home router and one that maps each address anew", four, home, symmetric, [2]string{"203.0.113.11:", "203.0.113.12:"}, false},
		{"two firewalls", six, firewall, firewall, [2]string{"[2001:db8:1::2]:", "[2001:db8:2::2]:"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := build(t, tt.family, tt.a, tt.b)
			if got := n.start(t, "hub", "stun", tt.family.network).line(t); got != "ready" {
				t.Fatalf("the STUN server says %q, want %q", got, "ready")
			}
			a, b := n.start(t, "a", "dialer", tt.family.network), n.start(t, "b", "listener", tt.family.network)
			mappedA, mappedB := a.line(t), b.line(t)
			if !strings.HasPrefix(mappedA, tt.seen[0]) || !strings.HasPrefix(mappedB, tt.seen[1]) {
				t.Fatalf("the STUN server saw %s and %s, want %v", mappedA, mappedB, tt.seen)
			}
			fmt.Fprintln(a.in, mappedB)
			fmt.Fprintln(b.in, mappedA)
			wantA, wantB := "listener", "dialer"
			if !tt.punched {
				wantA, wantB = "nothing", "nothing"
			}
			if gotA, gotB := a.line(t), b.line(t); gotA != wantA || gotB != wantB {
				t.Errorf("the ends heard %q and %q, want %q and %q", gotA, gotB, wantA, wantB)
			}
		})
	}
}

// dialHostile dials what a hostile peer names.
func dialHostile(t *testing.T) {
	dials := nat.NewDials() // of one session, which has a hole for each of its rounds
	open := func() *nat.Hole {
		h, err := nat.OpenHole(nat.HoleOptions{Network: "tcp4", Dials: dials})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	defer h.Close()
	var list []candidate.Candidate
	for addr := range strings.FieldsSeq(forbidden) {
		list = append(list, candidate.Candidate{Type: candidate.ServerReflexive, Proto: candidate.TCP, Addr: addr})
	}
	h.Connect(t.Context(), list)
	for generation := range 1000 {
		for i := range list {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(generation), byte(i)}), uint16(40000+generation))
			list[i] = candidate.At(candidate.ServerReflexive, candidate.TCP, at, 1)
		}
		if generation%100 == 0 {
			h = open()
			defer h.Close()
		}
		h.Connect(t.Context(), list)
	}
	<-time.After(4 * time.Second) // Connect dials for 3
	h.Close()
	fmt.Println("done")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// forbidden are addresses that a peer must not make this end dial.
const forbidden = "127.0.0.1:4600 0.0.0.0:4600 0.1.2.3:4600 169.254.169.254:80 224.0.0.1:4600 255.255.255.255:4600 [::ffff:127.0.0.1]:4600 198.18.0.1:22 198.18.0.1:25 198.18.0.1:0"

// A firewall counts what a hostile peer makes this end send.
func TestHoleSendsLittle(t *testing.T) {
	t.Parallel()
	n := namespaces(t, "a")
	n.run(t, "a", "ip addr add 192.0.2.7/32 dev lo", "")
	n.run(t, "a", "ip route add default dev lo src 192.0.2.7", "") // to nobody
	n.run(t, "a", "nft -f -", `table ip count {
  counter forbidden { }
  counter sent { }
  set dialled { type ipv4_addr . inet_service; flags dynamic; size 65535; }
  chain out { type filter hook output priority 0;
    ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } counter name forbidden
    tcp dport { 0, 22, 25 } counter name forbidden
    meta l4proto tcp counter name sent
    meta l4proto tcp add @dialled { ip daddr . tcp dport }
    drop
  }
}`)
	if got := n.start(t, "a", "hostile").line(t); got != "done" {
		t.Fatalf("got %q, want %q", got, "done")
	}
	if got := n.run(t, "a", "nft list counter ip count forbidden", ""); !strings.Contains(got, "packets 0 ") {
		t.Errorf("packets to forbidden addresses left: %s", got)
	}
	var packets int
	sent := n.run(t, "a", "nft list counter ip count sent", "")
	if _, err := fmt.Sscanf(sent[strings.Index(sent, "packets"):], "packets %d", &packets); err != nil {
		t.Fatalf("%v in %q", err, sent)
	}
	dialled := n.run(t, "a", "nft list set ip count dialled", "")
	const most = 8
	if got := strings.Count(dialled, " . 4"); got != most || packets < most || packets > 16*most {
		t.Errorf("got %d packets to %d addresses, want at most %d to %d: %s", packets, got, 16*most, most, dialled)
	}
}
