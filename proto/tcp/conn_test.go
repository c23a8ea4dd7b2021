package tcp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/linktest"
	"mesh/proto/tcp"
)

const code = proto.CodeBase + 77

var errLocal = errors.New("we have closed it")

// shake makes the TLS handshake of both ends on two connected sockets.
func shake(t *testing.T, rawA, rawB net.Conn) (a, b *tcp.Conn) {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := key.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		InsecureSkipVerify: true, SessionTicketsDisabled: true,
	}
	var wg sync.WaitGroup
	var errA, errB error
	wg.Go(func() { a, errA = tcp.Client(t.Context(), rawA, conf) })
	wg.Go(func() { b, errB = tcp.Server(t.Context(), rawB, conf) })
	wg.Wait()
	if errA != nil || errB != nil {
		t.Fatalf("handshake: %v and %v", errA, errB)
	}
	t.Cleanup(func() {
		a.Abort(net.ErrClosed)
		b.Abort(net.ErrClosed)
	})
	return a, b
}

// dial returns two connected sockets.
func dial(t *testing.T, l net.Listener, dialer func(ctx context.Context, network, addr string) (net.Conn, error)) (a, b net.Conn) {
	t.Helper()
	a, err := dialer(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func loopback(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return dial(t, l, (&net.Dialer{}).DialContext)
}

// simulated returns two connected sockets on n.
func simulated(t *testing.T, n *linktest.Net) (a, b net.Conn) {
	t.Helper()
	n.TCP = true
	return dial(t, n.Sockets(t).TCP, n.Sockets(t).DialTCP)
}

// overBoth runs a test over the kernel's TCP, and over a simulated network in virtual
// time.
func overBoth(t *testing.T, f func(t *testing.T, rawA, rawB net.Conn)) {
	t.Helper()
	t.Run("loopback", func(t *testing.T) {
		t.Parallel()
		a, b := loopback(t)
		f(t, a, b)
	})
	t.Run("simulated", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, b := simulated(t, &linktest.Net{})
			f(t, a, b)
		})
	})
}

// readAll reads to the end and returns the data and the reason of the end.
func readAll(c *tcp.Conn) ([]byte, error) {
	var got bytes.Buffer
	_, err := got.ReadFrom(c)
	if err == nil {
		err = io.EOF
	}
	return got.Bytes(), err
}

func wantClosing(t *testing.T, what string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*tcp.CloseError](err); !ok || e.Code != code {
		t.Errorf("%s: got %v, want the closing with %#x", what, err, code)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// What is lost because the deadline of a write has passed is not followed by a close code:
// the peer could not decrypt that, and would say that the network corrupts data.
func TestCloseAfterLostWrite(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(c *tcp.Conn){
		"close": func(c *tcp.Conn) { c.Close(code, errLocal) },
		"abort": func(c *tcp.Conn) { c.Abort(errLocal) },
		"end":   func(c *tcp.Conn) { _ = c.CloseWrite(); c.Close(code, errLocal) },
		"send":  func(c *tcp.Conn) { _ = c.SetDeadline(time.Time{}); _ = c.Send([]byte("more")); c.Close(code, errLocal) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
				a, b := shake(t, rawA, rawB)
				if err := b.Send([]byte("first")); err != nil {
					t.Fatal(err)
				}
				if err := b.SetDeadline(time.Unix(1, 0)); err != nil {
					t.Fatal(err)
				}
				wantError(t, "a late write", b.Send([]byte("late")), os.ErrDeadlineExceeded)
				end(b)
				got, err := readAll(a)
				if _, isAlert := errors.AsType[*net.OpError](err); string(got) != "first" || err == nil || isAlert && strings.Contains(err.Error(), "tls") {
					t.Errorf("the peer got %q and %v, want what came before and the end of the connection", got, err)
				}
			})
		})
	}
}

// The reader gets the bytes that were sent, however they were divided into parts, and
// then the end of this direction only.
func TestBytes(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 4095, 4096, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20}
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		a.SetAuthenticated()
		b.SetAuthenticated()
		var all []byte
		var sends [][][]byte
		for _, size := range sizes {
			data := make([]byte, size)
			_, _ = rand.Read(data)
			third := size / 3
			sends = append(sends, [][]byte{data}, [][]byte{data[:third], nil, data[third:]}, [][]byte{data[:size-third], data[size-third:]})
			all = append(all, bytes.Repeat(data, 3)...)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for _, parts := range sends {
				if err := a.Send(parts...); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
			if err := a.CloseWrite(); err != nil {
				t.Errorf("CloseWrite: %v", err)
			}
		})
		got, err := readAll(b)
		wantError(t, "read behind the end", err, io.EOF)
		if !bytes.Equal(got, all) {
			t.Errorf("read %d bytes, want the %d that were sent", len(got), len(all))
		}
		if err := a.Send([]byte("more")); err == nil {
			t.Error("send behind the end: got no error")
		}
	})
}

func TestHalfClosed(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, err := b.Read(make([]byte, 1))
		wantError(t, "read", err, io.EOF)
		if b.Context().Err() != nil {
			t.Error("connection has ended with one direction")
		}
		want := []byte("the other way")
		if err := b.Send(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(a, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
		b.Close(code, errLocal)
		_, err = a.Read(got)
		wantClosing(t, "read", err)
	})
}

// The close code arrives after everything that was written, even if much data is on
// the way in the other direction.
func TestClose(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("closing"), 10_000)
	for _, unread := range []int{0, 1, 100_000, 8 << 20} {
		t.Run(fmt.Sprintf("%d unread", unread), func(t *testing.T) {
			t.Parallel()
			overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
				a, b := shake(t, rawA, rawB)
				var wg sync.WaitGroup
				defer wg.Wait()
				wg.Go(func() {
					begun := time.Now()
					if err := b.Send(make([]byte, unread)); err != nil && unread < 1<<20 {
						t.Errorf("send of what nobody reads: %v", err)
					}
					if took := time.Since(begun); took > 10*time.Second {
						t.Errorf("send blocked for %s", took)
					}
				})
				if unread > 0 { // some data has arrived that no Read has asked for
					if _, err := io.ReadFull(a, make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				}
				wg.Go(func() {
					if err := a.Send(data); err != nil {
						t.Errorf("send: %v", err)
					}
					a.Close(code, errLocal)
				})
				got, err := readAll(b)
				wantClosing(t, "read", err)
				if !bytes.Equal(got, data) {
					t.Errorf("read %d bytes, want the %d that were sent before the closing", len(got), len(data))
				}
				wantClosing(t, "context", context.Cause(b.Context()))
				b.Close(code, nil) // or the other end would wait for this one
				wantError(t, "our own context", context.Cause(a.Context()), errLocal)
				wantError(t, "send", a.Send([]byte("x")), errLocal)
				_, err = a.Read(make([]byte, 1))
				wantError(t, "our own read", err, errLocal)
			})
		})
	}
}

// A Close ends a blocked Read on the same connection.
func TestCloseWhileReading(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		a.SetAuthenticated()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			_, err := a.Read(make([]byte, 1))
			wantError(t, "read", err, errLocal)
		})
		wg.Go(func() { a.Close(code, errLocal) })
		_, err := b.Read(make([]byte, 1))
		wantClosing(t, "read", err)
		b.Close(code, nil)
	})
}

// The close code is sent even after a malformed block or a missed deadline.
func TestCloseAfterBadBlock(t *testing.T) {
	t.Parallel()
	for _, why := range []string{"block", "deadline"} {
		overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
			key, err := identity.NewKey()
			if err != nil {
				t.Fatal(err)
			}
			cert, err := key.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			conf := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}
			peer := tls.Client(rawA, conf)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer rawA.Close()
			wg.Go(func() {
				c, err := tcp.Server(t.Context(), rawB, conf)
				if err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				if why == "deadline" {
					_ = c.SetDeadline(time.Unix(1, 0))
				}
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, tcp.ErrHungUp) {
					t.Errorf("read: got %v, want what is wrong here", err)
				}
				c.Close(code, errLocal)
			})
			if err := peer.Handshake(); err != nil {
				t.Fatal(err)
			}
			if why == "block" {
				_, err = peer.Write([]byte("\xff\xff\xff\xff"))
			}
			if err != nil {
				t.Fatal(err)
			}
			want := []byte{0, 0, 0, 0, 0, 0, code >> 8, code & 0xff}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: got %x (%v), want the closing %x", why, got, err, want)
			}
		})
	}
}

func TestHungUp(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		if err := a.Send([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		rawA.Close()
		got, err := readAll(b)
		if string(got) != "last words" {
			t.Errorf("got %q, want the last words", got)
		}
		wantError(t, "read", err, tcp.ErrHungUp)
		wantError(t, "context", context.Cause(b.Context()), tcp.ErrHungUp)
	})
}

// After a silence a reset may come from a router that has forgotten the connection.
func TestResetAfterSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rawA, rawB := simulated(t, &linktest.Net{})
		_, b := shake(t, rawA, rawB)
		time.AfterFunc(5*time.Second, func() { rawA.Close() })
		_, err := b.Read(make([]byte, 1))
		wantError(t, "read", err, tcp.ErrReset)
	})
}

// A peer that reads nothing delays Close by CloseTimeout at most.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, _ := shake(t, rawA, rawB)
		a.SetAuthenticated()
		blocked := make(chan error, 1)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { blocked <- a.Send(make([]byte, 64<<20)) })
		begun := time.Now()
		a.Close(code, errLocal)
		if took := time.Since(begun); took > tcp.CloseTimeout*3/2 {
			t.Errorf("Close took %s, want %s at most", took, tcp.CloseTimeout)
		}
		wantError(t, "send", <-blocked, errLocal)
	})
}

// An Abort ends blocked reads and writes at once.
func TestAbort(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { wantError(t, "send", a.Send(make([]byte, 64<<20)), errLocal) })
		wg.Go(func() {
			_, err := a.Read(make([]byte, 1))
			wantError(t, "read", err, errLocal)
		})
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		a.Abort(errLocal)
		a.Close(code, nil) // has no effect
		_, err := readAll(b)
		wantError(t, "read at the peer", err, tcp.ErrHungUp)
	})
}

// The peer of an aborted connection gets the code of an Abort, unless a write is blocked.
func TestAbortIsTold(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, rawA, rawB net.Conn) {
		a, b := shake(t, rawA, rawB)
		a.Abort(errLocal)
		_, err := b.Read(make([]byte, 1))
		if e, ok := errors.AsType[*tcp.CloseError](err); !ok || e.Code != proto.CodeBroken {
			t.Errorf("got %v, want it closed with %#x", err, proto.CodeBroken)
		}
	})
}

// Keep-alives keep an idle connection open. On a connection in use they fall between
// the blocks.
func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rawA, rawB := simulated(t, &linktest.Net{})
		a, b := shake(t, rawA, rawB)
		a.SetAuthenticated()
		b.SetAuthenticated()
		part := bytes.Repeat([]byte("0123456789"), 7_001)
		var wg sync.WaitGroup
		defer wg.Wait()
		for _, c := range []*tcp.Conn{a, b} {
			wg.Go(func() {
				for i := range 40 {
					<-time.After(time.Duration(i%5) * proto.KeepAlive / 2)
					if err := c.Send(part[:i], part[i:]); err != nil {
						t.Errorf("send: %v", err)
					}
				}
				<-time.After(3 * proto.IdleTimeout)
				if err := c.CloseWrite(); err != nil {
					t.Errorf("CloseWrite: %v", err)
				}
			})
			wg.Go(func() {
				got, err := readAll(c)
				wantError(t, "read", err, io.EOF)
				if !bytes.Equal(got, bytes.Repeat(part, 40)) {
					t.Errorf("read %d bytes, want %d as they were sent", len(got), 40*len(part))
				}
			})
		}
	})
}

// The peer hears something each second, whenever the last data was sent.
func TestKeepAliveAfterData(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{0, time.Millisecond, proto.KeepAlive / 2, proto.KeepAlive - time.Millisecond, proto.KeepAlive, proto.KeepAlive + time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			rawA, rawB := simulated(t, &linktest.Net{})
			a, b := shake(t, rawA, rawB)
			a.SetAuthenticated()
			b.SetAuthenticated()
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { _, _ = readAll(b) })
			defer a.Close(0x4d00, nil)
			<-time.After(at)
			if err := a.Send([]byte("data")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			heard := b.Heard()
			<-time.After(proto.KeepAlive + time.Millisecond)
			synctest.Wait()
			if got := b.Heard(); got == heard {
				t.Errorf("sent %s after the begin: nothing heard in the %s after that", at, proto.KeepAlive)
			}
		})
	}
}

// A silent peer is given up, also if the keep-alives to it are blocked.
func TestIdle(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("full %v", full), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{}
				rawA, rawB := simulated(t, n)
				a, b := shake(t, rawA, rawB)
				a.SetAuthenticated()
				b.SetAuthenticated()
				n.Cut()
				if full { // to the last byte: a record has 22 more than its content, and a block 4
					const room, each = 256 << 10, 1000 + 26
					for range room / each {
						if err := a.Send(make([]byte, 1000)); err != nil {
							t.Fatal(err)
						}
					}
					if err := a.Send(make([]byte, room%each-26)); err != nil {
						t.Fatal(err)
					}
				}
				begun := time.Now()
				_, err := a.Read(make([]byte, 1))
				wantError(t, "read", err, tcp.ErrIdle)
				if took := time.Since(begun); took < proto.IdleTimeout || took > proto.IdleTimeout+2*proto.KeepAlive {
					t.Errorf("given up after %s, want %s", took, proto.IdleTimeout)
				}
			})
		})
	}
}
