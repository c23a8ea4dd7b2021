package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mesh/proto"
)

// victims counts what the caller of the test sends, in the namespace of the caller: forbidden
// counts packets to addresses that are never allowed, and sent those to 198.18.0.0/15. The hub at 192.0.2.9 and the
// group of the question in the local network are not counted. The peer itself, which is beside
// the hub, is out of reach, so that all is tried for as long as it can be.
const victims = `table inet victims {
  counter forbidden { }
  counter sent { }
  chain out { type filter hook output priority 0;
    ip daddr 192.0.2.9 meta l4proto { tcp, udp } th dport { 3478, 4443 } accept
    ip daddr 192.0.2.9 meta l4proto { tcp, udp } drop
    ip daddr 239.255.77.69 accept
    meta l4proto { tcp, udp } ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } counter name forbidden
    meta l4proto { tcp, udp } ip6 daddr { ::1, fe80::/10, 64:ff9b::/96 } counter name forbidden
    tcp dport { 0-79, 81-442, 444-1023 } counter name forbidden
    meta l4proto { tcp, udp } ip daddr 198.18.0.0/15 counter name sent
  }
}`

// counted returns the packets and bytes of a counter.
func counted(t *testing.T, ns, counter string) (packets, size int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns, "nft", "list", "counter", "inet", "victims", counter).CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`packets (\d+) bytes (\d+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no count in %s", out)
	}
	packets, _ = strconv.Atoi(string(m[1]))
	size, _ = strconv.Atoi(string(m[2]))
	return packets, size
}

// A member of a hub that names addresses of others as its own: a firewall counts what its
// caller sends there. Nothing goes to an address that no peer can have, nor to a TCP port of
// another service, and little to a host that somebody else owns.
func TestHostileCandidates(t *testing.T) {
	t.Parallel()
	caller, other := roamers(t)
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("no nft here")
	}
	for _, ns := range []string{caller, other} {
		ip(t, "-n", ns, "link", "set", "lo", "up")
	}
	ip(t, "-n", caller, "route", "add", "default", "via", "192.0.2.9")
	ip(t, "-n", caller, "-6", "route", "add", "default", "dev", "eth0")

	dir, err := os.MkdirTemp("", "hub") // a short name, for the hub's socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	inside := func(ns, home string, out *os.File, args ...string) *aTool {
		return begin(t, dir, func(c *exec.Cmd) {
			c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, home))
			if out != nil {
				c.Stdout = out
			}
		}, "ip", append([]string{"netns", "exec", ns}, args...)...)
	}
	line, err := os.Create(filepath.Join(dir, "url"))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	inside(other, "hub", line, "mesh-hub", "serve", "--listen", "192.0.2.9:4443", "--stun", "192.0.2.9:3478")
	await(t, line.Name())
	text, err := os.ReadFile(line.Name())
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(string(text), "mesh-hub join "))
	ids := make(map[string]string)
	for _, home := range []string{"alice", "bob"} {
		var out bytes.Buffer
		p := begin(t, dir, func(c *exec.Cmd) {
			c.Env, c.Stdout = append(c.Env, "MESH_HOME="+filepath.Join(dir, home)), &out
		}, "mesh-token", "id")
		if code := p.code(t); code != proto.OK {
			t.Fatalf("mesh-token ended with %v: %s", code, p.stderr.Bytes())
		}
		ids[home] = strings.TrimSpace(out.String())
	}
	for _, args := range [][]string{
		{"hub", "mesh-hub", "member", "add", ids["alice"]},
		{"hub", "mesh-hub", "member", "add", ids["bob"]},
		{"bob", "mesh-token", "allow", ids["alice"], "send,recv"},
	} {
		if p := inside(other, args[0], nil, args[1:]...); p.code(t) != proto.OK {
			t.Fatalf("%v: %s", args, p.stderr.Bytes())
		}
	}

	for i, tt := range []struct {
		name, addrs string
		most        int // packets to 198.18.0.0/15; 0 for none
	}{
		{
			"addresses of no peer",
			"127.0.0.1:4600 0.0.0.0:4600 169.254.169.254:80 224.0.0.1:4600 255.255.255.255:4600 [::ffff:127.0.0.1]:4600 [64:ff9b::7f00:1]:4600",
			0,
		},
		{"ports of other services", "198.18.0.1:22 198.18.0.1:25 198.18.0.1:445", 3 * 32},
		{
			"a victim's ports",
			"198.18.0.2:4601 198.18.0.2:4602 198.18.0.2:4603 198.18.0.2:4604 198.18.0.2:4605 198.18.0.2:4606 198.18.0.2:4607 198.18.0.2:4608",
			8 * 40,
		},
	} {
		rules := exec.Command("ip", "netns", "exec", caller, "nft", "-f", "-")
		rules.Stdin = strings.NewReader("table inet victims { }\ndelete table inet victims\n" + victims)
		if out, err := rules.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
		name := fmt.Sprintf("pipe%d", i)
		args := []string{"mesh-listen", "--hub", url, "--listen", "192.0.2.9:0", "--as", name, "--events", name}
		for addr := range strings.FieldsSeq(tt.addrs) {
			args = append(args, "--addr", addr)
		}
		listener := inside(other, "bob", nil, append(args, "--", "cat")...)
		events := filepath.Join(dir, name)
		poll(t, "the listener is at the hub", func() bool {
			select {
			case <-listener.ended:
				t.Fatalf("mesh-listen has ended: %s", listener.stderr.Bytes())
			default:
			}
			text, _ := os.ReadFile(events)
			return bytes.Contains(text, []byte(`"event":"online"`))
		})
		p := inside(caller, "alice", nil, "mesh-cat", "--hub", url, "--trust", "hub", "--via", "direct", name)
		if code := p.code(t); code != proto.Unreachable {
			t.Errorf("%s: mesh-cat ended with %v, want %v: %s", tt.name, code, proto.Unreachable, p.stderr.Bytes())
		}
		_ = listener.Process.Kill()
		if got, _ := counted(t, caller, "forbidden"); got != 0 {
			t.Errorf("%s: %d packets have left for them", tt.name, got)
		}
		got, size := counted(t, caller, "sent")
		t.Logf("%s: %d packets with %d bytes to a host of somebody else", tt.name, got, size)
		if got > tt.most || (got == 0) != (tt.most == 0) {
			t.Errorf("%s: got %d packets to a host of somebody else, want up to %d", tt.name, got, tt.most)
		}
	}
}
