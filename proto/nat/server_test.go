package nat_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/nat"
)

// serveUDP runs a server at n ports of loopback until the test ends.
func serveUDP(t *testing.T, s *nat.Server, network, addr string, n int) (at []netip.AddrPort) {
	t.Helper()
	var conns []net.PacketConn
	for range n {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Skip("no such address here: ", err)
		}
		conns = append(conns, c)
		at = append(at, c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeUDP(ctx, conns...)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return at
}

// ask sends a request to a server, and returns the answer and where it came from.
func ask(t *testing.T, c *net.UDPConn, to netip.AddrPort, request []byte) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2000)
	for range 20 { // a datagram may be lost on a machine without memory
		if _, err := c.WriteToUDPAddrPort(request, to); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err == nil {
			return b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		}
	}
	t.Fatal("no answer")
	return nil, netip.AddrPort{}
}

func client(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A server tells the address of the asker, at both ports, and answers from the other port
// if it is asked to.
func TestServeUDP(t *testing.T) {
	t.Parallel()
	s := nat.NewServer(nil)
	at := serveUDP(t, s, "udp", "127.0.0.1:0", 2)
	c, own := client(t)
	for i := range at {
		for _, change := range []bool{false, true} {
			request, want := nat.AppendBinding(nil, id, 44), at[i]
			if change {
				request, want = nat.AppendBindingChangePort(nil, id, 0), at[1-i]
			}
			answer, from := ask(t, c, at[i], request)
			if got, err := nat.ParseMapped(answer, id); err != nil || got != own || from != want {
				t.Errorf("port %d, other port %v: got %v, %v from %v, want %v from %v", i, change, got, err, from, own, want)
			}
		}
	}
	if got := s.Stats(); got.UDP < 4 || got.TCP != 0 || got.Limited != 0 {
		t.Errorf("got %+v, want at least 4 answers over UDP", got)
	}
}

// A server with one port says that it has no other, rather than nothing: silence would
// look like a filter.
func TestServeUDPOnePort(t *testing.T) {
	t.Parallel()
	at := serveUDP(t, nat.NewServer(nil), "udp", "127.0.0.1:0", 1)
	c, _ := client(t)
	answer, _ := ask(t, c, at[0], nat.AppendBindingChangePort(nil, id, 0))
	if got, err := nat.ParseMapped(answer, id); err == nil || !strings.Contains(err.Error(), "error 420") {
		t.Errorf("got %v, %v, want error 420", got, err)
	}
}

// The answer leaves from the address that was asked: a router drops any other.
func TestServeUDPAnswersFromWhereAsked(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is an address of Linux")
	}
	for _, network := range []string{"udp", "udp4"} {
		at := serveUDP(t, nat.NewServer(nil), network, ":0", 2)
		c, own := client(t)
		for _, a := range at { // both sockets are served
			ask(t, c, netip.AddrPortFrom(own.Addr(), a.Port()), nat.AppendBinding(nil, id, 44))
		}
		for _, change := range []bool{false, true} {
			asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at[0].Port())
			request, want := nat.AppendBinding(nil, id, 44), asked
			if change {
				request, want = nat.AppendBindingChangePort(nil, id, 0), netip.AddrPortFrom(asked.Addr(), at[1].Port())
			}
			answer, from := ask(t, c, asked, request)
			if got, err := nat.ParseMapped(answer, id); err != nil || got != own || from != want {
				t.Errorf("%s, other port %v: got %v, %v from %v, want %v from %v", network, change, got, err, from, own, want)
			}
		}
	}
	at := serveUDP(t, nat.NewServer(nil), "udp", "[::]:0", 1)
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skip("no IPv6: ", err)
	}
	defer c.Close()
	answer, _ := ask(t, c, netip.AddrPortFrom(netip.IPv6Loopback(), at[0].Port()), nat.AppendBinding(nil, id, 44))
	if got, err := nat.ParseMapped(answer, id); err != nil || got != c.LocalAddr().(*net.UDPAddr).AddrPort() {
		t.Errorf("IPv6: got %v, %v, want %v", got, err, c.LocalAddr())
	}
}

// packets is a socket whose datagrams a test gives, and which counts what is sent.
type packets struct {
	net.PacketConn
	in   chan packet
	mu   sync.Mutex
	sent map[string]int // by destination
}

type packet struct {
	b    []byte
	from netip.AddrPort
}

func newPackets() *packets { return &packets{in: make(chan packet), sent: map[string]int{}} }

func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	one, ok := <-p.in
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(b, one.b), net.UDPAddrFromAddrPort(one.from), nil
}

func (p *packets) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[to.String()]++
	return len(b), nil
}

func (p *packets) Close() error { return nil }

func (p *packets) all() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, count := range p.sent {
		n += count
	}
	return n
}

// A source gets 20 answers a second, all together get 2000; other text gets none.
func TestServeUDPLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blocked := netip.MustParseAddr("192.0.2.66")
		s := nat.NewServer(func(a netip.Addr) bool { return a == blocked })
		p := newPackets()
		go s.ServeUDP(context.Background(), p)
		defer close(p.in)
		request := nat.AppendBinding(nil, id, 44)
		send := func(b []byte, from string) {
			p.in <- packet{b, netip.MustParseAddrPort(from)}
			synctest.Wait()
		}
		for range 100 {
			send(request, "192.0.2.1:1")
			send(request, "[2001:db8:0:1::1]:1")
			send(request, "[2001:db8:0:ff::1]:1") // the same /56
			send(request, "192.0.2.66:1")
			send([]byte("not a STUN message, but of some length"), "192.0.2.2:1")
			send(append(request[:len(request):len(request)], 0), "192.0.2.2:1")
		}
		if got := p.sent["192.0.2.1:1"]; got != nat.MaxAnswersOfSource {
			t.Errorf("got %d answers to one source in a second, want %d", got, nat.MaxAnswersOfSource)
		}
		if got := p.sent["[2001:db8:0:1::1]:1"] + p.sent["[2001:db8:0:ff::1]:1"]; got != nat.MaxAnswersOfSource {
			t.Errorf("got %d answers to one IPv6 network in a second, want %d", got, nat.MaxAnswersOfSource)
		}
		if got := p.all(); got != 2*nat.MaxAnswersOfSource {
			t.Errorf("got %d answers, want none to what is blocked or no STUN", got)
		}
		<-time.After(time.Second)
		before := p.all()
		for i := range 3 * nat.MaxAnswers {
			send(request, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250))
		}
		if got := p.all() - before; got != nat.MaxAnswers {
			t.Errorf("got %d answers to all in a second, want %d", got, nat.MaxAnswers)
		}
		<-time.After(time.Second)
		before = p.all()
		if send(request, "192.0.2.1:1"); p.all() != before+1 {
			t.Errorf("no answer a second later")
		}
	})
}

// tcpTo returns a connection to a server, as from an address.
func tcpTo(s *nat.Server, from string) net.Conn {
	here, there := net.Pipe()
	go s.ServeTCP(there, netip.MustParseAddrPort(from))
	return here
}

func askTCP(c net.Conn) (netip.AddrPort, error) {
	go func() { _, _ = c.Write(nat.AppendBinding(nil, id, 0)) }()
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return nat.ParseMapped(b[:n], id)
}

// A source has 8 connections, each for 120 s. They are closed with the server.
func TestServeTCP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nat.NewServer(nil)
		var conns []net.Conn
		for range nat.MaxTCPOfSource {
			c := tcpTo(s, "192.0.2.1:7")
			conns = append(conns, c)
			if got, err := askTCP(c); err != nil || got.String() != "192.0.2.1:7" {
				t.Fatalf("got %v, %v, want 192.0.2.1:7", got, err)
			}
		}
		if got, err := askTCP(tcpTo(s, "192.0.2.1:8")); err == nil {
			t.Errorf("one connection too many: got %v, want none", got)
		}
		if got, err := askTCP(tcpTo(s, "192.0.2.2:8")); err != nil {
			t.Errorf("another source: got %v, %v, want an answer", got, err)
		}
		<-time.After(time.Second)
		if got, err := askTCP(conns[0]); err != nil {
			t.Errorf("second request: got %v, %v, want an answer", got, err)
		}
		_ = conns[1].Close()
		synctest.Wait()
		if got, err := askTCP(tcpTo(s, "192.0.2.1:9")); err != nil {
			t.Errorf("after one was closed: got %v, %v, want an answer", got, err)
		}
		synctest.Wait()
		if got := s.Stats(); got.Connections != 9 || got.TCP != 11 || got.Limited != 1 {
			t.Errorf("got %+v, want 9 connections, 11 answers, 1 over the limit", got)
		}
		began := time.Now()
		_, err := conns[0].Read(make([]byte, 1))
		if got := time.Since(began); err == nil || got > nat.TCPLife {
			t.Errorf("got %v after %s, want the end of the connection within %s", err, got, nat.TCPLife)
		}
		c := tcpTo(s, "192.0.2.9:8")
		synctest.Wait()
		s.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives its server")
		}
		if got, err := askTCP(tcpTo(s, "192.0.2.1:9")); err == nil {
			t.Errorf("got %v of a closed server", got)
		}
	})
}

// Anything but a Binding request ends a connection without an answer, and so do more than 20
// requests in a second.
func TestServeTCPRefuses(t *testing.T) {
	t.Parallel()
	long := nat.AppendBinding(nil, id, 0)
	long[2], long[3] = 0xff, 0xfc
	response, _ := nat.Answer(nil, nat.AppendBinding(nil, id, 0), addrs()[0])
	for name, b := range map[string][]byte{
		"zeros": make([]byte, 100), "too long": long, "a response": response, "cut": nat.AppendBinding(nil, id, 0)[:10],
	} {
		c := tcpTo(nat.NewServer(nil), "192.0.2.1:7")
		go func() {
			_, _ = c.Write(b)
			if name == "cut" {
				_ = c.Close()
			}
		}()
		if got, err := io.ReadAll(c); len(got) > 0 {
			t.Errorf("%s: got %x, %v, want the end", name, got, err)
		}
	}
	s := nat.NewServer(nil)
	c := tcpTo(s, "192.0.2.1:7")
	n := 0
	for ; n < 1000; n++ {
		if _, err := askTCP(c); err != nil {
			break
		}
	}
	if n < nat.MaxAnswersOfSource || n == 1000 {
		t.Errorf("got %d answers over one connection, want about %d", n, nat.MaxAnswersOfSource)
	}
}
