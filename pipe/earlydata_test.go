package pipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// Early data arrives once, and no byte behind it is lost, however much of the source is
// ready before the dial.
func TestEarlyData(t *testing.T) {
	t.Parallel()
	const f = proto.MaxFirstBytes
	for _, size := range []int{0, 1, f - 1, f, f + 1, 3 << 20} {
		for _, ready := range []int{0, 1, 2, 1 << 30} { // reads
			t.Run(fmt.Sprint(size, ready), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					data := xtest.Random(size)
					var dialer, listener end
					left := ready
					dialer.source = &pipe.Source{Reader: iotest.HalfReader(bytes.NewReader(data)), Ready: func() bool {
						left--
						return left >= 0
					}}
					dialer.options = pipe.Options{ResumeFor: time.Minute}
					listener.options.ResumeFor = time.Minute
					outages(n, time.Now(), []time.Duration{60 * time.Millisecond}, 5*time.Second)
					both(t, n, proto.CapSend, &dialer, &listener)
					xtest.WantCode(t, "sender", dialer.err, proto.OK)
					xtest.WantCode(t, "receiver", listener.err, proto.OK)
					if !bytes.Equal(listener.got.Bytes(), data) {
						t.Errorf("got %d other bytes, want %d", listener.got.Len(), size)
					}
				})
			})
		}
	}
}

// A message that is ready before the dial arrives a round trip earlier.
func TestEarlyDataSavesRoundTrip(t *testing.T) {
	t.Parallel()
	var taken [2]time.Duration // from the dial to the consumer
	for i := range taken {
		synctest.Test(t, func(t *testing.T) {
			var dialer, listener end
			dialer.source = from(xtest.Random(1 << 10))
			dialer.source.Ready = func() bool { return i == 1 }
			begun := time.Now()
			listener.sink = &pipe.Sink{Writer: io.Discard, Finish: func(int) error {
				taken[i] = time.Since(begun)
				return nil
			}}
			both(t, &linktest.Net{Latency: latency}, proto.CapSend, &dialer, &listener)
			xtest.WantCode(t, "sender", dialer.err, proto.OK)
		})
	}
	if taken[1] > taken[0]-latency {
		t.Errorf("taken after %s, and after %s when it was not ready: want %s less at least", taken[1], taken[0], latency)
	}
}

// A source that fails while its early data is read fails the exchange as it would later.
func TestEarlyDataFails(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		var dialer, listener end
		failing := io.MultiReader(bytes.NewReader(xtest.Random(10)), iotest.ErrReader(errors.New("bad sector")))
		dialer.source = &pipe.Source{Reader: failing, Ready: func() bool { return true }}
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.IO)
		xtest.WantCode(t, "receiver", listener.err, proto.IO)
	})
}

// cutting is a guard that accepts every dialer. Before it answers the first one, it cuts
// the network.
type cutting struct {
	linktest.Anyone
	n    *linktest.Net
	once *sync.Once
}

func (c cutting) Find(h *wire.Hello, id identity.ID) (token.Admission, error) {
	c.once.Do(func() {
		c.n.Cut()
		time.AfterFunc(proto.DialTimeout+time.Second, c.n.Heal)
	})
	return c.Anyone.Find(h, id)
}

// Early data of a P2P_HELLO whose answer was lost arrives once, when the dialer has
// dialed again.
func TestEarlyDataUnanswered(t *testing.T) {
	t.Parallel()
	const f = proto.MaxFirstBytes
	for _, size := range []int{0, 1, f, f + 1, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				data := xtest.Random(size)
				var dialer, listener end
				dialer.source = &pipe.Source{Reader: bytes.NewReader(data), Ready: func() bool { return true }}
				dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
				dialing, _ := n.Endpoint(t)
				listening, key := n.Endpoint(t)
				l, err := listening.Listen(link.ListenOptions{Guard: cutting{n: n, once: new(sync.Once)}, Offer: proto.CapSend, Max: 1})
				if err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				defer func() {
					_ = l.Close()
					wg.Wait()
				}()
				wg.Go(func() {
					ll, err := l.Accept(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					listener.run(t.Context(), ll)
				})
				target := link.Target{
					ID: key.ID(), Addrs: []string{listening.Addr().String()}, Credential: token.KeyCredential(),
					Want: proto.CapSend, Need: proto.CapSend, First: dialer.source.EarlyData, AttemptTimeout: time.Second,
				}
				for attempt := 1; ; attempt++ {
					dl, err := dialing.Dial(t.Context(), target)
					if err == nil {
						if attempt == 1 || !dl.Resumed {
							t.Errorf("attempt %d, resumed %v: the test needs a resumed dial after a lost answer", attempt, dl.Resumed)
						}
						dialer.run(t.Context(), dl)
						break
					}
					if attempt == 20 {
						t.Fatal(err)
					}
				}
				wg.Wait()
				xtest.WantCode(t, "sender", dialer.err, proto.OK)
				xtest.WantCode(t, "receiver", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), data) {
					t.Errorf("got %d other bytes, want %d", listener.got.Len(), size)
				}
			})
		})
	}
}
