package udp_test

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/proto/udp"
)

// deadPort returns an address at which no process listens.
func deadPort(t *testing.T, addr string) *net.UDPAddr {
	t.Helper()
	pc := sender(t, addr)
	pc.Close()
	return addrOf(pc)
}

// unreachable makes c report into a channel, each address once in a while.
func unreachable(c *udp.Conn) <-chan netip.AddrPort {
	told := make(chan netip.AddrPort, 1)
	c.OnUnreachable = func(a netip.AddrPort) {
		select {
		case told <- a:
		default:
		}
	}
	return told
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		for _, own := range []string{addr, ":0"} {
			t.Run(addr+" from "+own, func(t *testing.T) {
				c, dead, live := listen(t, own), deadPort(t, addr), listen(t, addr)
				told := unreachable(c)
				// An idle end is blocked in a read.
				read := make(chan error, 1)
				go func() {
					_, _, err := c.ReadFrom(make([]byte, 8))
					read <- err
				}()
				if _, err := c.WriteToUDP([]byte("anyone?"), dead); err != nil {
					t.Fatal(err)
				}
				if got := <-told; got != netip.AddrPortFrom(dead.AddrPort().Addr().Unmap(), uint16(dead.Port)) {
					t.Errorf("told of %v, want %v", got, dead)
				}
				to := *addrOf(c)
				to.IP = dead.IP
				if _, err := live.WriteToUDP([]byte("me"), &to); err != nil {
					t.Fatal(err)
				}
				if err := <-read; err != nil {
					t.Errorf("the read failed: %v", err)
				}
			})
		}
	}
}

// The error of one peer must not cost a packet to another: the kernel returns it from
// the next send, which it then does not execute.
func TestErrorsOfOthersLoseNothing(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		c, live, dead := listen(t, addr), listen(t, addr), deadPort(t, addr)
		told := unreachable(c)
		const n = 100
		for range n {
			for _, to := range []*net.UDPAddr{dead, addrOf(live)} {
				if _, err := c.WriteToUDP([]byte("hello"), to); err != nil {
					t.Fatal(err)
				}
			}
		}
		read(t, live, n)
		<-told
		if lost := c.Lost(); lost != 0 {
			t.Errorf("%d packets lost", lost)
		}
	}
}

func TestTransferBesideDeadPort(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		from, to, dead := listen(t, addr), listen(t, addr), deadPort(t, addr)
		var heard atomic.Int64
		tell := func(netip.AddrPort) { heard.Add(1) }
		from.OnUnreachable, to.OnUnreachable = tell, tell
		done, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-done:
					return
				default:
				}
				for _, c := range []*udp.Conn{from, to} {
					if _, err := c.WriteToUDP([]byte("anyone?"), dead); err != nil {
						t.Error(err)
						return
					}
				}
			}
		}()
		transfer(t, from, to, 16<<20)
		close(done)
		<-stopped
		if heard.Load() == 0 {
			t.Error("no word of the dead port")
		}
	}
}

func TestTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		c := listen(t, addr)
		for range 3 {
			if _, _, err := c.WriteMsgUDP(make([]byte, 65600), nil, addrOf(c)); !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("65600 bytes: %v, want EMSGSIZE", err)
			}
		}
		if _, err := c.WriteToUDP([]byte("x"), addrOf(c)); err != nil {
			t.Error(err)
		}
		read(t, c, 1)
		if c.Lost() != 0 {
			t.Errorf("%d packets lost", c.Lost())
		}
	}
}

func TestPassingErrorsAreLoss(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// Without SO_BROADCAST a broadcast fails with EACCES, or without a network with
	// ENETUNREACH: the same errors as from a firewall or a link that is down.
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0) })
	n, oobn, err := c.WriteMsgUDP([]byte("four"), segments(1), &net.UDPAddr{IP: net.IPv4bcast, Port: 9})
	if n != 4 || oobn != len(segments(1)) || err != nil || c.Lost() != 1 {
		t.Errorf("%d, %d, %v, %d lost; want 4, %d, none, 1", n, oobn, err, c.Lost(), len(segments(1)))
	}
}
