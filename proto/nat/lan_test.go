package nat_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/xtest"
)

var (
	lanNode  = identity.ID{1, 2, 3}
	lanNonce = [16]byte{4, 5, 6}
)

// The form is that of mesh-protocol(7), computed by hand.
func TestLANForm(t *testing.T) {
	t.Parallel()
	const head = "056d6573682d6c616e2f31" + "04050600000000000000000000000000"
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"question", nat.LANQuestion(lanNode, lanNonce), head + "912c497df889e93fa1a7b5d63ed19d4374d310d6eb09906c4d0a336f3b8a922d" + strings.Repeat("00", 69)},
		{"answer", nat.LANAnswer(lanNode, lanNonce, 4600), head + "11f8" + "e52af1770068049dc74fc726212f9d70d1c2f6312e0d820f87178c54db764631"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
	if q, a := len(nat.LANQuestion(lanNode, lanNonce)), len(nat.LANAnswer(lanNode, lanNonce, 1)); q != 128 || a >= q {
		t.Errorf("got a question of %d and an answer of %d bytes, want 128 and fewer", q, a)
	}
}

// Each byte of the two messages counts.
func TestLANParse(t *testing.T) {
	t.Parallel()
	question, answer := nat.LANQuestion(lanNode, lanNonce), nat.LANAnswer(lanNode, lanNonce, 4600)
	if nonce, ok := nat.ParseLANQuestion(question, lanNode); !ok || nonce != lanNonce {
		t.Errorf("question: got %x, %v, want %x", nonce, ok, lanNonce)
	}
	if port, ok := nat.ParseLANAnswer(answer, lanNode, lanNonce); !ok || port != 4600 {
		t.Errorf("answer: got %d, %v, want 4600", port, ok)
	}
	for i := range question {
		b := bytes.Clone(question)
		b[i] ^= 1
		if _, ok := nat.ParseLANQuestion(b, lanNode); ok {
			t.Errorf("question: got it taken with byte %d changed", i)
		}
	}
	for i := range answer {
		b := bytes.Clone(answer)
		b[i] ^= 1
		if _, ok := nat.ParseLANAnswer(b, lanNode, lanNonce); ok {
			t.Errorf("answer: got it taken with byte %d changed", i)
		}
	}
	for n := range 200 {
		b := append(bytes.Clone(question), make([]byte, 100)...)[:n]
		if _, ok := nat.ParseLANQuestion(b, lanNode); ok != (n == len(question)) {
			t.Errorf("question of %d bytes: got %v", n, ok)
		}
		b = append(bytes.Clone(answer), make([]byte, 200)...)[:n]
		if _, ok := nat.ParseLANAnswer(b, lanNode, lanNonce); ok != (n == len(answer)) {
			t.Errorf("answer of %d bytes: got %v", n, ok)
		}
	}
	if _, ok := nat.ParseLANQuestion(question, identity.ID{9}); ok {
		t.Error("got the question for another node taken")
	}
	if _, ok := nat.ParseLANAnswer(answer, lanNode, [16]byte{9}); ok {
		t.Error("got the answer to another question taken")
	}
}

func FuzzLAN(f *testing.F) {
	f.Add(nat.LANQuestion(lanNode, lanNonce))
	f.Add(nat.LANAnswer(lanNode, lanNonce, 4600))
	f.Add([]byte("\x05mesh-lan/1"))
	answer := nat.NewLANAnswerer(nat.LANOptions{ID: lanNode, TCP: 4600}, nat.LANNetwork("192.168.1.2/24"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if nonce, ok := nat.ParseLANQuestion(b, lanNode); ok && !bytes.Equal(nat.LANQuestion(lanNode, nonce), b) {
			t.Errorf("got %x taken, which is no question", b)
		}
		if port, ok := nat.ParseLANAnswer(b, lanNode, lanNonce); ok && !bytes.Equal(nat.LANAnswer(lanNode, lanNonce, port), b) {
			t.Errorf("got %x taken, which is no answer", b)
		}
		if got, ok := answer(b, netip.MustParseAddrPort("192.168.1.3:5000")); ok && len(got) >= len(b) {
			t.Errorf("got an answer of %d bytes to %d", len(got), len(b))
		}
		nat.LANTake(lanNode, []uint16{4600}, nat.LANNetwork("192.168.1.2/24"), map[netip.AddrPort]func([16]byte) []byte{
			netip.MustParseAddrPort("192.168.1.3:4600"): func([16]byte) []byte { return b },
		})
	})
}

// Answers go into the networks of this machine alone, and only to private addresses.
func TestLANAskers(t *testing.T) {
	t.Parallel()
	on := nat.LANNetwork("192.168.1.2/24", "203.0.113.2/24", "fe80::2/64", "fd00:1::2/64", "2001:db8::2/64")
	for from, want := range map[string]bool{
		"192.168.1.3:5000":      true,
		"192.168.1.2:5000":      true, // another process here
		"[fe80::3%eth0]:5000":   true,
		"[fd00:1::3]:5000":      true,
		"192.168.2.3:5000":      false,
		"10.0.0.1:5000":         false,
		"203.0.113.3:5000":      false,
		"198.51.100.1:53":       false,
		"127.0.0.1:5000":        false,
		"[::1]:5000":            false,
		"[2001:db8::3]:5000":    false,
		"[fd00:2::3]:5000":      false,
		"169.254.1.1:5000":      false, // no such network here
		"100.64.0.1:5000":       false,
		"224.0.0.1:5000":        false,
		"255.255.255.255:5000":  false,
		"[ff12::4d45%eth0]:500": false,
		"[::ffff:8.8.8.8]:53":   false,
	} {
		answer := nat.NewLANAnswerer(nat.LANOptions{ID: lanNode, TCP: 4600}, on)
		b, ok := answer(nat.LANQuestion(lanNode, lanNonce), netip.MustParseAddrPort(from))
		if ok != want {
			t.Errorf("from %s: got an answer: %v, want %v", from, ok, want)
		}
		if ok && !bytes.Equal(b, nat.LANAnswer(lanNode, lanNonce, 4600)) {
			t.Errorf("from %s: got %x, want the answer", from, b)
		}
		if got := nat.LANTake(lanNode, []uint16{4600, 5000}, on, map[netip.AddrPort]func([16]byte) []byte{
			netip.MustParseAddrPort(from): func(nonce [16]byte) []byte { return nat.LANAnswer(lanNode, nonce, 4600) },
		}); (len(got) > 0) != want {
			t.Errorf("an answer from %s: got candidates %v, want some: %v", from, got, want)
		}
	}
}

// A flood of questions, and of ones for other nodes.
func TestLANAnswersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := nat.NewLANAnswerer(nat.LANOptions{ID: lanNode}, nat.LANNetwork("192.168.1.2/24"))
		given := 0
		for i := range 10_000 {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}), uint16(i+1))
			if _, ok := answer(nat.LANQuestion(identity.ID{7}, [16]byte{byte(i)}), from); ok {
				t.Fatal("got an answer to a question for another node")
			}
			if _, ok := answer(nat.LANQuestion(lanNode, [16]byte{byte(i), byte(i >> 8)}), from); ok {
				given++
			}
			<-time.After(time.Millisecond) // 10 s in all
		}
		if given < 50 || given > 56 {
			t.Errorf("got %d answers in 10 s, want 5 a second after the first 5", given)
		}
	})
}

// Members know the node id, and may answer in its place with any number of addresses.
func TestLANAnswersLookedAt(t *testing.T) {
	t.Parallel()
	on := nat.LANNetwork("10.0.0.2/8")
	flood := make(map[netip.AddrPort]func([16]byte) []byte)
	for i := range 1000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 4600)
		flood[from] = func(nonce [16]byte) []byte { return nat.LANAnswer(lanNode, nonce, 4601) }
	}
	got := nat.LANTake(lanNode, []uint16{4600, 4601}, on, flood)
	if len(got) != 16 {
		t.Errorf("got %d candidates of 1000 answers, want those of 8", len(got))
	}
	// Ports of other services, and of other processes of the node.
	for _, tt := range []struct {
		from uint16
		tcp  uint16
		want []string
	}{
		{4600, 4600, []string{"host tcp 10.1.0.1:4600", "host udp 10.1.0.1:4600"}},
		{4600, 0, []string{"host udp 10.1.0.1:4600"}},
		{4601, 4600, []string{"host tcp 10.1.0.1:4600"}}, // a node without QUIC
		{22, 22, nil},
		{4600, 22, []string{"host udp 10.1.0.1:4600"}},
		{53, 50000, nil},
	} {
		from := netip.AddrPortFrom(netip.MustParseAddr("10.1.0.1"), tt.from)
		var got []string
		for _, c := range nat.LANTake(lanNode, []uint16{4600}, on, map[netip.AddrPort]func([16]byte) []byte{
			from: func(nonce [16]byte) []byte { return nat.LANAnswer(lanNode, nonce, tt.tcp) },
		}) {
			got = append(got, fmt.Sprintf("%s %s %s", c.Type, c.Proto, c.Addr))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("an answer from port %d with port %d: got %q, want %q", tt.from, tt.tcp, got, tt.want)
		}
	}
}

// Two nodes of one machine are asked in its networks, and each answers for itself.
func TestLAN(t *testing.T) {
	t.Parallel()
	if !nat.LANInterfaces() {
		t.Skip("this machine is in no private network with multicast")
	}
	ids := []identity.ID{xtest.NewKey(t).ID(), xtest.NewKey(t).ID()}
	var ports []uint16
	for _, id := range ids {
		conn, err := net.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
		ports = append(ports, port)
		m := nat.NewMux(&plainSocket{PacketConn: conn})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		t.Cleanup(func() { cancel(); <-done; m.Close(); conn.Close() })
		go func() {
			defer close(done)
			m.AnswerLAN(ctx, nat.LANOptions{ID: id, TCP: port, Failed: func(err error) { t.Log(err) }})
		}()
	}
	for i, id := range ids {
		got := askUntil(t, id, ports)
		for _, c := range got {
			if at, ok := c.AddrPort(); !ok || at.Port() != ports[i] {
				t.Errorf("node %d: got %s, want port %d", i, c, ports[i])
			}
		}
	}
	stranger, err := nat.AskLAN(t.Context(), xtest.NewKey(t).ID(), ports)
	if err != nil {
		t.Fatal(err)
	}
	for c := range stranger {
		t.Errorf("got %s of a node that is not there", c)
	}
}

// askUntil asks until there is an answer: the node may not listen yet.
func askUntil(t *testing.T, id identity.ID, ports []uint16) (list []candidate.Candidate) {
	t.Helper()
	for range 20 {
		found, err := nat.AskLAN(t.Context(), id, ports)
		if err != nil {
			t.Fatal(err)
		}
		for c := range found {
			list = append(list, c)
		}
		if len(list) > 0 {
			return list
		}
	}
	t.Fatal("got no answer in 20 questions")
	return nil
}

// plainSocket is a UDP socket without QUIC.
type plainSocket struct{ net.PacketConn }

func (s *plainSocket) ReadNonQUICPacket(ctx context.Context, b []byte) (int, net.Addr, error) {
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	defer context.AfterFunc(ctx, func() { _ = s.SetReadDeadline(time.Now()) })()
	return s.ReadFrom(b)
}
