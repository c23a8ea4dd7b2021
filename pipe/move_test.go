package pipe_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	"mesh/proto/xtest"
)

// mover is an end of an exchange that counts its moves and outages.
type mover struct {
	end
	moved  []path.Kind // that the links had which were replaced
	broken int
}

func (m *mover) counts() *mover {
	m.options.Moved = func(l *link.Link) { m.moved = append(m.moved, l.Path().Kind) }
	m.options.Broken = func(broken bool) {
		if broken {
			m.broken++
		}
	}
	return m
}

// relayed runs an exchange to its end over a link through a relay.
func relayed(t *testing.T, n *linktest.Net, caps proto.Caps, o linktest.RelayedOptions, dialer, listener *mover) linktest.Relayed {
	t.Helper()
	p := n.PairRelayed(t, caps, o)
	relayedEnds(t, p, dialer, listener)
	return p
}

func relayedEnds(t *testing.T, p linktest.Relayed, dialer, listener *mover) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { listener.counts().run(t.Context(), p.Listener) })
	dialer.counts().run(t.Context(), p.Dialer)
	wg.Wait()
}

func wantOK(t *testing.T, dialer, listener *mover, there, back []byte) {
	t.Helper()
	xtest.WantCode(t, "dialer", dialer.err, proto.OK)
	xtest.WantCode(t, "listener", listener.err, proto.OK)
	if !bytes.Equal(listener.got.Bytes(), there) || !bytes.Equal(dialer.got.Bytes(), back) {
		t.Errorf("got %d and %d bytes, want exactly the %d and %d that were sent", listener.got.Len(), dialer.got.Len(), len(there), len(back))
	}
}

// A pipe that began over a relay because the direct path was blocked goes on over that once
// it is open, without an outage at either end, and also if no outage is allowed.
func TestMove(t *testing.T) {
	t.Parallel()
	for _, resumeFor := range []time.Duration{0, time.Minute} {
		for _, caps := range []proto.Caps{proto.CapSend, proto.CapRecv, proto.CapSend | proto.CapRecv} {
			t.Run(fmt.Sprint(resumeFor, caps), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					n.SlowStreams = true
					var there, back []byte
					var dialer, listener mover
					dialer.options.ResumeFor, listener.options.ResumeFor = resumeFor, resumeFor
					if caps.Has(proto.CapSend) {
						there = xtest.Random(4 << 20)
						dialer.source = &pipe.Source{Reader: &slowly{there, 4 << 10, 20 * time.Millisecond}}
					}
					if caps.Has(proto.CapRecv) {
						back = xtest.Random(4 << 20)
						listener.source = &pipe.Source{Reader: &slowly{back, 4 << 10, 20 * time.Millisecond}}
					}
					n.Cut()
					time.AfterFunc(7*time.Second, n.Heal)
					relayed(t, n, caps, linktest.RelayedOptions{}, &dialer, &listener)
					wantOK(t, &dialer, &listener, there, back)
					for name, m := range map[string]*mover{"dialer": &dialer, "listener": &listener} {
						if m.broken != 0 || len(m.moved) != 1 || m.moved[0] != path.Relay {
							t.Errorf("%s: %d outages, moved from %v, want none and one move from the relay", name, m.broken, m.moved)
						}
						for _, r := range []*pipe.Receipt{m.result.Sent, m.result.Received} {
							if r != nil && (r.Path[:4] != "lan " || len(r.Paths) != 2 || r.Paths[0].Path[:6] != "relay " || r.Paths[1].Path != r.Path || r.Paths[0].Bytes+r.Paths[1].Bytes != r.Bytes) {
								t.Errorf("%s: the path in the receipt is %q after %v, want the direct one after the relay", name, r.Path, r.Paths)
							}
						}
					}
					for _, r := range [][2]*pipe.Receipt{{dialer.result.Sent, listener.result.Received}, {dialer.result.Received, listener.result.Sent}} {
						if r[0] != nil && r[0].Paths[0].Bytes != r[1].Paths[0].Bytes {
							t.Errorf("over the relay: %d bytes at the dialer, %d at the listener", r[0].Paths[0].Bytes, r[1].Paths[0].Bytes)
						}
					}
				})
			})
		}
	}
}

// First frames cross one link, and are acknowledged over another.
func TestMoveWithFirstFrames(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1 << 10, 40 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				n.SlowStreams = true
				data := xtest.Random(size)
				var dialer, listener mover
				dialer.source = &pipe.Source{Reader: bytes.NewReader(data), Ready: func() bool { return true }}
				listener.sink = &pipe.Sink{Writer: &listener.got, Finish: func(int) error { <-time.After(30 * time.Second); return nil }}
				relayed(t, n, proto.CapSend, linktest.RelayedOptions{Kind: path.Tunnel, First: dialer.source.EarlyData}, &dialer, &listener)
				wantOK(t, &dialer, &listener, data, nil)
				if len(dialer.moved) != 1 || dialer.moved[0] != path.Tunnel || len(listener.moved) != 1 {
					t.Errorf("moved from %v and %v, want one move from the tunnel", dialer.moved, listener.moved)
				}
			})
		})
	}
}

// A move that meets the end of the transfer, at whatever moment, does not change the outcome.
func TestMoveAtTheEnd(t *testing.T) {
	t.Parallel()
	moves := 0
	var mu sync.Mutex
	t.Cleanup(func() {
		if moves == 0 {
			t.Error("no transfer has moved")
		}
	})
	for i := range 60 {
		for _, status := range []int{0, 3} {
			t.Run(fmt.Sprint(i, status), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					n.SlowStreams = true
					data := xtest.Random(1000)
					var dialer, listener mover
					// The direct path is dialled at once, and moves after about 100 ms.
					dialer.source = &pipe.Source{Reader: &slowly{data, len(data), time.Duration(2*i) * time.Millisecond}, Status: func() int { return status }}
					relayed(t, n, proto.CapSend, linktest.RelayedOptions{}, &dialer, &listener)
					want := proto.OK
					if status != 0 {
						want = proto.Producer
					}
					xtest.WantCode(t, "sender", dialer.err, want)
					xtest.WantCode(t, "receiver", listener.err, want)
					if !bytes.Equal(listener.got.Bytes(), data) {
						t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
					}
					mu.Lock()
					moves += len(dialer.moved)
					mu.Unlock()
				})
			})
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// failed waits for fail, and returns an error then.
func failed(ctx context.Context, fail <-chan time.Time) error {
	select {
	case <-fail:
		return syscall.ENOSPC
	case <-ctx.Done():
		return nil
	}
}

// A failure of either end during a move reaches the other end with its own code.
func TestFailureDuringMove(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		for _, failing := range []string{"dialer", "listener"} {
			t.Run(fmt.Sprint(i, failing), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					n.SlowStreams = true
					var dialer, listener mover
					dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
					dialer.source = &pipe.Source{Reader: &slowly{xtest.Random(1 << 20), 1 << 10, 10 * time.Millisecond}}
					fail := time.After(time.Duration(60+2*i) * time.Millisecond)
					begun := time.Now()
					if failing == "listener" {
						listener.sink = &pipe.Sink{Writer: &listener.got, AwaitLoss: func(ctx context.Context) error { return failed(ctx, fail) }}
					} else {
						dialer.source = &pipe.Source{Reader: readerFunc(func([]byte) (int, error) { return 0, failed(context.Background(), fail) })}
					}
					relayed(t, n, proto.CapSend, linktest.RelayedOptions{}, &dialer, &listener)
					xtest.WantCode(t, "dialer", dialer.err, proto.Space)
					xtest.WantCode(t, "listener", listener.err, proto.Space)
					if took := time.Since(begun); took > 15*time.Second {
						t.Errorf("ended after %s, want at once", took)
					}
				})
			})
		}
	}
}

// Whenever the direct path dies after it was connected, and for however long, the transfer
// goes on: in P2P_HELLO over the old link, after P2P_OK by a resume.
func TestMoveToADyingPath(t *testing.T) {
	t.Parallel()
	for i := range 40 {
		for _, lasting := range []time.Duration{time.Second, 5 * time.Second, time.Minute} {
			t.Run(fmt.Sprint(i, lasting), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n := &linktest.Net{Latency: latency, SlowStreams: true, TCP: true}
					var once sync.Once
					n.Dialed = func(net.Conn) {
						once.Do(func() {
							time.AfterFunc(time.Duration(3*i)*time.Millisecond, n.Cut)
							time.AfterFunc(time.Duration(3*i)*time.Millisecond+lasting, n.Heal)
						})
					}
					there, back := xtest.Random(1<<20), xtest.Random(1<<20)
					var dialer, listener mover
					dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
					dialer.source = &pipe.Source{Reader: &slowly{there, 4 << 10, 100 * time.Millisecond}}
					listener.source = &pipe.Source{Reader: &slowly{back, 4 << 10, 100 * time.Millisecond}}
					begun := time.Now()
					relayed(t, n, proto.CapSend|proto.CapRecv, linktest.RelayedOptions{}, &dialer, &listener)
					wantOK(t, &dialer, &listener, there, back)
					if took := time.Since(begun); took > 36*time.Second {
						t.Errorf("took %s, want about 26 s", took)
					}
				})
			})
		}
	}
}

// A relay that ends while the transfer moves away from it, at whatever moment, is no more
// than an outage.
func TestMoveDuringABreak(t *testing.T) {
	t.Parallel()
	for i := range 60 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				n.SlowStreams = true
				r := rand.New(rand.NewPCG(2, uint64(i)))
				there, back := xtest.Random(1<<20), xtest.Random(1<<20)
				var dialer, listener mover
				dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
				dialer.source = &pipe.Source{Reader: &slowly{there, 16 << 10, 50 * time.Millisecond}}
				listener.source = &pipe.Source{Reader: &slowly{back, 16 << 10, 50 * time.Millisecond}}
				p := n.PairRelayed(t, proto.CapSend|proto.CapRecv, linktest.RelayedOptions{})
				at := time.Duration(r.IntN(150)) * time.Millisecond
				time.AfterFunc(at, p.Relay.Kill)
				time.AfterFunc(at+time.Duration(r.IntN(2000))*time.Millisecond, p.Relay.Start)
				outages(n, time.Now(), []time.Duration{at + time.Duration(r.IntN(100))*time.Millisecond, 10 * time.Second}, 3*time.Second)
				relayedEnds(t, p, &dialer, &listener)
				wantOK(t, &dialer, &listener, there, back)
			})
		})
	}
}

// gapWriter knows the longest time between two writes.
type gapWriter struct {
	last    time.Time
	longest time.Duration
}

func (w *gapWriter) Write(p []byte) (int, error) {
	if !w.last.IsZero() {
		w.longest = max(w.longest, time.Since(w.last))
	}
	w.last = time.Now()
	return len(p), nil
}

// A consumer that is fed steadily waits for at most one and a half round trips, and 20 ms,
// while the transfer moves.
func TestGapOfAMove(t *testing.T) {
	t.Parallel()
	for _, caps := range []proto.Caps{proto.CapSend, proto.CapRecv} {
		for _, latency := range []time.Duration{time.Millisecond, 15 * time.Millisecond, 50 * time.Millisecond} {
			t.Run(fmt.Sprint(caps, latency), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					n.SlowStreams = true
					const every = 5 * time.Millisecond
					var dialer, listener mover
					var gap gapWriter
					source := &pipe.Source{Reader: &slowly{xtest.Random(2 << 20), 1 << 10, every}}
					sink := &pipe.Sink{Writer: &gap}
					if caps == proto.CapSend {
						dialer.source, listener.sink = source, sink
					} else {
						listener.source, dialer.sink = source, sink
					}
					n.Cut()
					time.AfterFunc(2*time.Second, n.Heal)
					relayed(t, n, caps, linktest.RelayedOptions{}, &dialer, &listener)
					xtest.WantCode(t, "dialer", dialer.err, proto.OK)
					xtest.WantCode(t, "listener", listener.err, proto.OK)
					if len(dialer.moved) != 1 {
						t.Fatalf("moved %d times, want once", len(dialer.moved))
					}
					if most := 3*latency + 20*time.Millisecond + every; gap.longest > most {
						t.Errorf("the consumer waited for %s, want at most %s", gap.longest, most)
					}
				})
			})
		}
	}
}
