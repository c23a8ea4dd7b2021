package pipe_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

func TestFlows(t *testing.T) {
	t.Parallel()
	for _, flows := range []int{1, 2, proto.MaxFlows} {
		t.Run(fmt.Sprint(flows), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				there, back := xtest.Random(12<<20), xtest.Random(6<<20+1)
				var dialer, listener end
				dialer.source = &pipe.Source{Reader: &slowly{there, 256 << 10, 5 * time.Millisecond}}
				listener.source = &pipe.Source{Reader: &slowly{back, 256 << 10, 10 * time.Millisecond}}
				dialer.options.Flows = flows
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), there) || !bytes.Equal(dialer.got.Bytes(), back) {
					t.Errorf("got %d and %d bytes, want exactly the %d and %d that were sent", listener.got.Len(), dialer.got.Len(), len(there), len(back))
				}
				for _, r := range []*pipe.Receipt{dialer.result.Sent, dialer.result.Received} {
					if r == nil || r.Flows != flows {
						t.Errorf("got receipt %+v, want one of %d flows", r, flows)
					}
				}
			})
		})
	}
}

// With a slow producer and packet loss, bytes that one flow delivers early wait for
// those that another delivers late.
func TestFlowsOverLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		r := rand.New(rand.NewPCG(3, 1))
		n := &linktest.Net{Latency: latency, Pass: func(linktest.Packet) bool {
			mu.Lock()
			defer mu.Unlock()
			return r.IntN(100) > 0
		}}
		data := xtest.Random(4 << 20)
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: &slowly{data, 100 << 10, 7 * time.Millisecond}}
		dialer.options.Flows = 4
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.OK)
		xtest.WantCode(t, "receiver", listener.err, proto.OK)
		if !bytes.Equal(listener.got.Bytes(), data) {
			t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
		}
	})
}

// Connections that end at any time, one or all of them, lose no bytes: the bytes that
// they did not deliver come over others, and new ones are made.
func TestFlowsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(4, seed))
				var mu sync.Mutex
				var conns []net.Conn
				n := &linktest.Net{Latency: latency, TCP: true, Dialed: func(c net.Conn) {
					mu.Lock()
					defer mu.Unlock()
					conns = append(conns, c)
				}}
				for range 10 {
					time.AfterFunc(time.Duration(r.IntN(2500))*time.Millisecond, func() {
						mu.Lock()
						defer mu.Unlock()
						if len(conns) > 0 {
							_ = conns[r.IntN(len(conns))].Close()
						}
					})
				}
				there, back := xtest.Random(10<<20), xtest.Random(8<<20)
				var dialer, listener end
				dialer.source = &pipe.Source{Reader: &slowly{there, 100 << 10, 20 * time.Millisecond}}
				listener.source = &pipe.Source{Reader: &slowly{back, 60 << 10, 20 * time.Millisecond}}
				dialer.options = pipe.Options{Flows: 4, ResumeFor: time.Minute}
				listener.options.ResumeFor = time.Minute
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), there) || !bytes.Equal(dialer.got.Bytes(), back) {
					t.Errorf("got %d and %d bytes, want exactly the %d and %d that were sent", listener.got.Len(), dialer.got.Len(), len(there), len(back))
				}
			})
		})
	}
}

// With a spool the source is read to its end long before a slow consumer ends, and its
// bytes are read back from the file, after broken links too.
func TestSpool(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		t.Helper()
		data := xtest.Random(proto.WindowBytes + 20<<20 + 1)
		read := make(chan struct{}) // closed when the source is read to its end
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: bytes.NewReader(data), Status: func() int {
			close(read)
			return 0
		}}
		dialer.options = pipe.Options{Spool: 64 << 20, ResumeFor: time.Minute, Flows: 2}
		listener.options.ResumeFor = time.Minute
		listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
			<-read
			return listener.got.Write(p)
		})}
		outages(n, time.Now(), []time.Duration{200 * time.Millisecond}, 10*time.Second)
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.OK)
		xtest.WantCode(t, "receiver", listener.err, proto.OK)
		if !bytes.Equal(listener.got.Bytes(), data) {
			t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
		}
	})
}

// Where QUIC connects first, bulk gets a flow over TCP beside it. Without TCP it stays
// on QUIC.
func TestFlowOverTCP(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{true, false} {
		t.Run(fmt.Sprint(there), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: latency, Both: true}
				n.CutTCP()
				if there {
					time.AfterFunc(150*time.Millisecond, n.Heal)
				}
				data := xtest.Random(40 << 20)
				var dialer, listener end
				dialer.source = from(data)
				listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
					<-time.After(10 * time.Millisecond)
					return listener.got.Write(p)
				})}
				both(t, n, proto.CapSend, &dialer, &listener)
				xtest.WantCode(t, "sender", dialer.err, proto.OK)
				xtest.WantCode(t, "receiver", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), data) {
					t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
				}
				want := map[bool]string{true: "quic+tcp", false: proto.ViaQUIC}[there]
				if got := dialer.result.Sent.Via; got != want {
					t.Errorf("got a transfer over %s, want %s", got, want)
				}
			})
		})
	}
}

// A flow over TCP that could not be made is made on the next link, if that is over QUIC too.
func TestFlowOverTCPAfterBreak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: 50 * time.Millisecond, Both: true, SlowStreams: true}
		n.CutTCP()
		data := xtest.Random(40 << 20)
		var dialer, listener end
		dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
		dialer.source = from(data)
		listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
			<-time.After(200 * time.Millisecond)
			return listener.got.Write(p)
		})}
		time.AfterFunc(15*time.Second, n.Cut) // by then the attempt to make a flow has failed
		time.AfterFunc(25*time.Second, n.Heal)
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.OK)
		xtest.WantCode(t, "receiver", listener.err, proto.OK)
		if !bytes.Equal(listener.got.Bytes(), data) {
			t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
		}
		if got := dialer.result.Sent.Via; got != "quic+tcp" {
			t.Errorf("got a transfer over %s, want quic+tcp", got)
		}
	})
}

// logged notes when a line is logged.
type logged struct {
	slog.Handler
	line string
	at   *[]time.Time
}

func (h logged) Enabled(context.Context, slog.Level) bool { return true }

func (h logged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.line {
		*h.at = append(*h.at, time.Now())
	}
	return nil
}

// Bulk that had a flow over TCP beside QUIC has none beside a link through a relay, over
// which it goes on: that is one over TCP itself.
func TestFlowsOverRelayAfterBreak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &linktest.Net{Latency: latency, Both: true}
		p := n.PairRelayed(t, proto.CapSend, linktest.RelayedOptions{})
		n.CutTCP()
		data := xtest.Random(40 << 20)
		var dialer, listener mover
		var added []time.Time
		dialer.options = pipe.Options{ResumeFor: time.Minute, Log: slog.New(logged{slog.DiscardHandler, "flow added", &added})}
		listener.options.ResumeFor = time.Minute
		dialer.source = from(data)
		listener.sink = &pipe.Sink{Writer: writerFunc(func(b []byte) (int, error) {
			<-time.After(100 * time.Millisecond)
			return listener.got.Write(b)
		})}
		time.AfterFunc(time.Second, n.Heal)
		cut := time.Now().Add(5 * time.Second)
		time.AfterFunc(5*time.Second, n.Cut)
		relayedEnds(t, p, &dialer, &listener)
		wantOK(t, &dialer, &listener, data, nil)
		before := slices.IndexFunc(added, cut.Before)
		if before < 0 {
			before = len(added)
		}
		if got := dialer.result.Sent.Path[:6]; got != "relay " || before == 0 || before < len(added) {
			t.Errorf("the last path is %q, %d flows were added before the fall to a relay and %d after it, want some and none", got, before, len(added)-before)
		}
	})
}

// The end of an exchange does not wait for the timers of flows.
func TestFlowsEnd(t *testing.T) {
	t.Parallel()
	for _, flows := range []int{pipe.AutoFlows, 1, 3} {
		linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
			var dialer, listener end
			dialer.source = from(xtest.Random(1 << 10))
			dialer.options.Flows = flows
			begun := time.Now()
			both(t, n, proto.CapSend, &dialer, &listener)
			xtest.WantCode(t, "sender", dialer.err, proto.OK)
			if took := time.Since(begun); took > 20*latency {
				t.Errorf("%d flows: a KiB took %s, want a few round trips of %s", flows, took, latency)
			}
		})
	}
}

// Far away QUIC connects first. Bulk gets a flow over TCP beside it, whichever end
// sends; a short message does not.
func TestFlowOverTCPFarAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bytes int
		caps  proto.Caps
		want  string
	}{
		{40 << 20, proto.CapSend, "quic+tcp"},
		{40 << 20, proto.CapRecv, "quic+tcp"},
		{1 << 10, proto.CapSend, proto.ViaQUIC},
		{1 << 10, proto.CapRecv, proto.ViaQUIC},
	} {
		t.Run(fmt.Sprint(c.bytes, " ", c.caps), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: 50 * time.Millisecond, Both: true, SlowStreams: true}
				data := xtest.Random(c.bytes)
				var dialer, listener end
				sender, receiver := &dialer, &listener
				if c.caps == proto.CapRecv {
					sender, receiver = receiver, sender
				}
				sender.source = from(data)
				receiver.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
					<-time.After(10 * time.Millisecond)
					return receiver.got.Write(p)
				})}
				both(t, n, c.caps, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(receiver.got.Bytes(), data) {
					t.Errorf("got %d bytes, want exactly the %d that were sent", receiver.got.Len(), len(data))
				}
				r := dialer.result.Sent
				if r == nil {
					r = dialer.result.Received
				}
				if r == nil || r.Via != c.want {
					t.Errorf("got receipt %+v, want a transfer over %s", r, c.want)
				}
			})
		})
	}
}
