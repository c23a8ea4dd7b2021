package udp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto/udp"
)

// quic-go uses its fast path only for a connection with these methods.
var _ quic.OOBCapablePacketConn = (*udp.Conn)(nil)

// loopbacks are the addresses to test with: IPv6 only if the machine has it.
func loopbacks(t *testing.T) []string {
	t.Helper()
	list := []string{"127.0.0.1:0"}
	if pc, err := net.ListenPacket("udp", "[::1]:0"); err == nil {
		pc.Close()
		list = append(list, "[::1]:0")
	}
	return list
}

func listen(t testing.TB, addr string) *udp.Conn {
	t.Helper()
	c, err := udp.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c net.PacketConn) *net.UDPAddr { return c.LocalAddr().(*net.UDPAddr) }

func TestListen(t *testing.T) {
	t.Parallel()
	c := listen(t, ":0")
	if recv, send := c.Buffers(); recv <= 0 || send <= 0 {
		t.Errorf("buffers %d and %d, want some", recv, send)
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:99999", "192.0.2.1:0", c.LocalAddr().String()} {
		if c, err := udp.Listen(addr); err == nil {
			c.Close()
			t.Errorf("Listen(%q): no error", addr)
		} else if want := "listen udp " + addr + ": "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Listen(%q): %q, want %q…", addr, err, want)
		}
	}
}

func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	errc := make(chan error)
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 1))
		errc <- err
	}()
	c.SetReadDeadline(time.Unix(1, 0))
	if err := <-errc; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 1))
		errc <- err
	}()
	c.Close()
	if err := <-errc; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read on a closed socket: %v", err)
	}
	if _, _, err := c.WriteMsgUDP([]byte("x"), nil, addrOf(c)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send on a closed socket: %v", err)
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			transfer(t, listen(t, addr), listen(t, addr), 64<<20)
		})
	}
}

// transfer sends size bytes over QUIC and fails unless they arrive unchanged.
func transfer(t *testing.T, from, to *udp.Conn, size int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	serverTLS, clientTLS := tlsConfigs()
	recv, send := &quic.Transport{Conn: to}, &quic.Transport{Conn: from}
	defer recv.Close()
	defer send.Close()
	ln, err := recv.Listen(serverTLS, quicConfig())
	if err != nil {
		t.Fatal(err)
	}
	sent := sha256.New()
	errc := make(chan error, 1)
	go func() {
		errc <- func() error {
			conn, err := send.Dial(ctx, addrOf(to), clientTLS, quicConfig())
			if err != nil {
				return err
			}
			s, err := conn.OpenUniStream()
			if err != nil {
				return err
			}
			data := io.LimitReader(rand.NewChaCha8([32]byte{}), size)
			if _, err := io.CopyBuffer(struct{ io.Writer }{s}, io.TeeReader(data, sent), make([]byte, 64<<10)); err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
			<-conn.Context().Done()
			return nil
		}()
	}()
	conn, err := ln.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := conn.AcceptUniStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	n, err := io.Copy(got, s)
	if err != nil || n != size {
		t.Fatalf("received %d bytes of %d: %v", n, size, err)
	}
	conn.CloseWithError(0, "")
	if err := <-errc; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Error("what arrived is not what was sent")
	}
}

func TestWriteForms(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	to := addrOf(c)
	port := to.AddrPort()
	buf := make([]byte, 64)
	for name, write := range map[string]func([]byte) (int, error){
		"WriteTo":            func(b []byte) (int, error) { return c.WriteTo(b, to) },
		"WriteToUDP":         func(b []byte) (int, error) { return c.WriteToUDP(b, to) },
		"WriteToUDPAddrPort": func(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, port) },
		"WriteMsgUDPAddrPort": func(b []byte) (int, error) {
			n, _, err := c.WriteMsgUDPAddrPort(b, nil, port)
			return n, err
		},
	} {
		if n, err := write([]byte(name)); n != len(name) || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != name || from != port {
			t.Errorf("%s: got %q from %v: %v", name, buf[:n], from, err)
		}
	}
	if _, err := c.WriteTo(nil, &net.IPAddr{}); err == nil {
		t.Error("WriteTo an IPAddr: no error")
	}
	if _, err := c.WriteToUDPAddrPort(nil, netip.AddrPort{}); err == nil {
		t.Error("WriteTo nowhere: no error")
	}
}
