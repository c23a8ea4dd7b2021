package nat_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

func openHole(t *testing.T, o nat.HoleOptions) *nat.Hole {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no holes on Windows")
	}
	if o.Network == "" {
		o.Network = "tcp4"
	}
	h, err := nat.OpenHole(o)
	if err != nil {
		t.Fatalf("open a hole: %v", err)
	}
	t.Cleanup(h.Close)
	return h
}

// seen returns the candidate of a TCP port of this machine.
func seen(port uint16) candidate.Candidate {
	return candidate.At(candidate.ServerReflexive, candidate.TCP, netip.AddrPortFrom(loopback, port), 1)
}

func nextConn(t *testing.T, from <-chan net.Conn) net.Conn {
	t.Helper()
	select {
	case c, ok := <-from:
		if !ok {
			t.Fatal("got a closed channel, want a connection")
		}
		t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(patience):
		t.Fatalf("got no connection within %v", patience)
	}
	return nil
}

func TestNoHoleOnWindows(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "windows" {
		t.Skip("this is no Windows")
	}
	if _, err := nat.OpenHole(nat.HoleOptions{Network: "tcp4"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
	}
}

func TestHoles(t *testing.T) {
	t.Parallel()
	dialer := openHole(t, nat.HoleOptions{Dialer: true, Loopback: true})
	listener := openHole(t, nat.HoleOptions{Loopback: true})
	atDialer := dialer.Connect(t.Context(), []candidate.Candidate{seen(listener.Port())})
	atListener := listener.Connect(t.Context(), []candidate.Candidate{seen(dialer.Port())})
	d, l := nextConn(t, atDialer), nextConn(t, atListener)
	if d.LocalAddr().String() != l.RemoteAddr().String() {
		t.Fatalf("the dialer has %s, the listener %s: want two ends of one connection", d.LocalAddr(), l.RemoteAddr())
	}
	if got, want := d.LocalAddr().(*net.TCPAddr).Port, int(dialer.Port()); got != want {
		t.Errorf("got local port %d, want the hole's %d", got, want)
	}
	dialer.Close()
	listener.Close()
	if _, err := d.Write([]byte("after Close")); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if got, err := io.ReadAll(l); string(got) != "after Close" || err != nil {
		t.Errorf("got %q, %v, want what the dialer wrote after the holes were closed", got, err)
	}
	if c, ok := <-atDialer; ok {
		t.Errorf("got %v from the channel of a closed hole, want it closed", c.RemoteAddr())
	}
	if c, ok := <-dialer.Connect(t.Context(), []candidate.Candidate{seen(listener.Port())}); ok {
		t.Errorf("got %v from a closed hole, want a closed channel", c.RemoteAddr())
	}
}

func TestHoleDialsAgain(t *testing.T) {
	t.Parallel()
	h := openHole(t, nat.HoleOptions{Loopback: true})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	conns := h.Connect(t.Context(), []candidate.Candidate{seen(uint16(l.Addr().(*net.TCPAddr).Port))})
	for range 20 { // the hole's own first dial is refused beside these
		if c, err := net.Dial("tcp4", at); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v, %v, want connection refused", c, err)
		}
	}
	if l, err = net.Listen("tcp4", at); err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	defer l.Close()
	if got := nextConn(t, conns).RemoteAddr().String(); got != at {
		t.Errorf("got a connection to %s, want %s", got, at)
	}
}

func TestHoleTakesFrom(t *testing.T) {
	t.Parallel()
	elsewhere := candidate.At(candidate.ServerReflexive, candidate.TCP, netip.MustParseAddrPort("192.0.2.9:9"), 1)
	here := candidate.At(candidate.Host, candidate.UDP, netip.MustParseAddrPort("127.0.0.1:9"), 1)
	for _, tt := range []struct {
		name   string
		dialer bool
		remote candidate.Candidate
		taken  bool
	}{
		{"a listener takes anybody", false, elsewhere, true},
		{"a dialer takes a host of the peer's", true, here, true},
		{"a dialer takes nobody else", true, elsewhere, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := openHole(t, nat.HoleOptions{Dialer: tt.dialer, Loopback: true})
			conns := h.Connect(t.Context(), []candidate.Candidate{tt.remote})
			c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", h.Port()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if tt.taken {
				nextConn(t, conns)
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %d bytes, %v, want a connection that is closed at once", n, err)
			}
			select {
			case c := <-conns:
				t.Errorf("got a connection from %s, want none", c.RemoteAddr())
			default:
			}
		})
	}
}

func TestDialerTakesFew(t *testing.T) {
	t.Parallel()
	const most = 8
	h := openHole(t, nat.HoleOptions{Dialer: true, Loopback: true})
	here := candidate.At(candidate.Host, candidate.UDP, netip.MustParseAddrPort("127.0.0.1:9"), 1)
	conns := h.Connect(t.Context(), []candidate.Candidate{here})
	var last net.Conn
	for range most + 1 {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", h.Port()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		last = c
	}
	for range most {
		nextConn(t, conns)
	}
	_ = last.SetReadDeadline(time.Now().Add(patience))
	if n, err := last.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v, want connection %d closed at once", n, err, most+1)
	}
}

// The peer chooses the candidates: what it may not name is not dialled.
func TestHoleTargets(t *testing.T) {
	t.Parallel()
	h := openHole(t, nat.HoleOptions{})
	local := openHole(t, nat.HoleOptions{Loopback: true})
	six := openHole(t, nat.HoleOptions{Network: "tcp6"})
	for _, tt := range []struct {
		hole *nat.Hole
		kind candidate.Type
		addr string
		want bool
	}{
		{h, candidate.ServerReflexive, "203.0.113.9:40000", true},
		{h, candidate.ServerReflexive, "[::ffff:203.0.113.10]:40000", true},
		{h, candidate.ServerReflexive, "203.0.113.9:443", true},
		{h, candidate.ServerReflexive, "203.0.113.9:80", true},
		{h, candidate.ServerReflexive, "203.0.113.9:22", false},
		{h, candidate.ServerReflexive, "192.168.1.1:25", false},
		{h, candidate.ServerReflexive, "203.0.113.9:0", false},
		{h, candidate.ServerReflexive, "127.0.0.1:40000", false},
		{h, candidate.ServerReflexive, "[::ffff:127.0.0.1]:40000", false},
		{h, candidate.ServerReflexive, "0.0.0.0:40000", false},
		{h, candidate.ServerReflexive, "169.254.169.254:80", false},
		{h, candidate.ServerReflexive, "224.0.0.1:40000", false},
		{h, candidate.ServerReflexive, "255.255.255.255:40000", false},
		{h, candidate.ServerReflexive, "hub.example:40000", false},
		{h, candidate.ServerReflexive, "[2001:db8::9]:40000", false}, // of the other family
		{h, candidate.Host, "203.0.113.11:40000", false},             // the race dials these
		{h, candidate.PortMapped, "203.0.113.11:40000", false},
		{h, candidate.Relay, "203.0.113.11:40000", false},
		{six, candidate.ServerReflexive, "[2001:db8::9]:40000", true},
		{six, candidate.ServerReflexive, "203.0.113.9:40000", false},
		{six, candidate.ServerReflexive, "[64:ff9b::7f00:1]:40000", false},
		{six, candidate.ServerReflexive, "[64:ff9b::a9fe:a9fe]:80", false},
		{six, candidate.ServerReflexive, "[fe80::1]:40000", false},
		{six, candidate.ServerReflexive, "[::1]:40000", false},
		{local, candidate.ServerReflexive, "127.0.0.1:40000", true},
		{local, candidate.ServerReflexive, fmt.Sprintf("127.0.0.1:%d", local.Port()), false}, // the hole itself
	} {
		c := candidate.Candidate{Type: tt.kind, Proto: candidate.TCP, Addr: tt.addr}
		if got := len(tt.hole.Targets([]candidate.Candidate{c})) == 1; got != tt.want {
			t.Errorf("%s %s: dialled %v, want %v", tt.kind, tt.addr, got, tt.want)
		}
	}
}

func TestHoleTargetsAreFew(t *testing.T) {
	t.Parallel()
	const looked, most = 16, 8
	var all []candidate.Candidate
	for i := range 10000 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 40000)
		all = append(all, candidate.At(candidate.ServerReflexive, candidate.TCP, at, 1))
	}
	h := openHole(t, nat.HoleOptions{})
	if got := h.Targets(all); len(got) != most {
		t.Errorf("got %d addresses of the first list, want %d", len(got), most)
	}
	for from := looked; from < len(all); from += looked {
		if got := h.Targets(all[from:]); len(got) != 0 {
			t.Fatalf("got %v of a further list, want none", got)
		}
	}
	dials, dialled := nat.NewDials(), 0
	for range 20 { // the rounds of a session
		dialled += len(openHole(t, nat.HoleOptions{Dials: dials}).Targets(all))
	}
	if dialled != most {
		t.Errorf("got %d addresses in 20 holes of a session, want %d", dialled, most)
	}
	h = openHole(t, nat.HoleOptions{})
	host := candidate.At(candidate.Host, candidate.TCP, netip.MustParseAddrPort("203.0.113.9:4600"), 1)
	if got := h.Targets(append(slices.Repeat([]candidate.Candidate{host}, looked), all...)); len(got) != 0 {
		t.Errorf("got %v of the candidates after the first %d, want none", got, looked)
	}
	if got := h.Targets(all[:1]); len(got) != 1 {
		t.Errorf("got %v, want one address", got)
	}
	if got := h.Targets(all[:1]); len(got) != 0 {
		t.Errorf("got %v of the same list again, want none", got)
	}
}

// Close ends what runs, and closes what nobody has taken.
func TestHoleClose(t *testing.T) {
	t.Parallel()
	h := openHole(t, nat.HoleOptions{Loopback: true})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed := openHole(t, nat.HoleOptions{})
	closed.Close() // a port that refuses: the dial to it would go on
	h.Connect(t.Context(), []candidate.Candidate{seen(uint16(l.Addr().(*net.TCPAddr).Port)), seen(closed.Port())})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	h.Close()
	h.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %v, want it at once", took)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %d bytes, %v, want the connection closed", n, err)
	}
	if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", h.Port())); err == nil {
		t.Errorf("got a connection to %v, want the port closed", c.RemoteAddr())
	}
}
