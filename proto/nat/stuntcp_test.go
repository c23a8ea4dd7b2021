package nat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// serveTCP lets reply have each connection that is made to the address. It closes none.
func serveTCP(t *testing.T, reply func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go reply(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// answerSTUN is a STUN server over TCP for requests of 20 bytes.
func answerSTUN(c net.Conn) {
	request := make([]byte, 20)
	if _, err := io.ReadFull(c, request); err != nil {
		return
	}
	if answer, ok := nat.Answer(nil, request, c.RemoteAddr().(*net.TCPAddr).AddrPort()); ok {
		_, _ = c.Write(answer)
	}
}

func TestHoleMap(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	server := serveTCP(t, func(c net.Conn) {
		answerSTUN(c)
		for _, limit := range []time.Duration{200 * time.Millisecond, patience} {
			_ = c.SetReadDeadline(time.Now().Add(limit))
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}
	})
	h := openHole(t, nat.HoleOptions{Loopback: true})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := h.Map(ctx, server)
	if want := netip.AddrPortFrom(loopback, h.Port()); got != want || err != nil {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
	if got := h.Targets([]candidate.Candidate{seen(got.Port())}); len(got) != 0 {
		t.Errorf("the hole would dial %v, which is its own address", got)
	}
	cancel() // of the request, not of the mapping
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection ended with %v, want it open until Close", err)
	}
	h.Close()
	if err := <-ended; err != io.EOF {
		t.Errorf("got %v at the server, want %v after Close", err, io.EOF)
	}
	if _, err := h.Map(t.Context(), server); err == nil {
		t.Errorf("got no error of a closed hole, want one")
	}
}

func TestHoleMapFails(t *testing.T) {
	t.Parallel()
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 20))
			_, _ = io.WriteString(c, text)
		}
	}
	for _, tt := range []struct {
		name  string
		reply func(net.Conn)
		want  string
	}{
		{"hangs up", func(c net.Conn) { c.Close() }, ""},
		{"speaks HTTP", say("HTTP/1.1 400 Bad Request\r\n\r\n"), "no STUN message"},
		{"sends a huge message", say("\x01\x01\xff\xfc" + strings.Repeat("\x00", 16)), "no STUN message"},
		{"answers another request", func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 20))
			answer, _ := nat.Answer(nil, nat.AppendBinding(nil, [12]byte{1}, 0), c.RemoteAddr().(*net.TCPAddr).AddrPort())
			_, _ = c.Write(answer)
		}, "another request"},
		{"ends in the answer", func(c net.Conn) {
			say("\x01\x01\x00\x0c" + strings.Repeat("\x00", 20))(c)
			c.Close()
		}, "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := openHole(t, nat.HoleOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := h.Map(ctx, serveTCP(t, tt.reply))
			if err == nil || !strings.Contains(err.Error(), tt.want) || ctx.Err() != nil {
				t.Errorf("got %v, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
}

func TestHoleMapEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(*nat.Hole, context.CancelFunc)
	}{
		{"with its context", func(_ *nat.Hole, cancel context.CancelFunc) { cancel() }},
		{"with the hole", func(h *nat.Hole, _ context.CancelFunc) { h.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan bool, 1)
			server := serveTCP(t, func(c net.Conn) {
				_, _ = io.ReadFull(c, make([]byte, 20))
				asked <- true
			})
			h := openHole(t, nat.HoleOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			go func() {
				_, err := h.Map(ctx, server)
				failed <- err
			}()
			select {
			case <-asked:
			case err := <-failed:
				t.Fatalf("got %v before the server was asked", err)
			}
			tt.end(h, cancel)
			select {
			case err := <-failed:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want %v", err, context.Canceled)
				}
			case <-time.After(patience):
				t.Errorf("Map did not end within %v", patience)
			}
		})
	}
}
