package pipe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

const latency = 10 * time.Millisecond

// end is one end of an exchange and its outcome.
type end struct {
	source  *pipe.Source
	sink    *pipe.Sink
	got     bytes.Buffer
	options pipe.Options

	result pipe.Result
	err    error
}

func (e *end) run(ctx context.Context, l *link.Link) {
	if e.sink == nil {
		e.sink = &pipe.Sink{Writer: &e.got}
	}
	e.result, e.err = pipe.Exchange(ctx, l, e.source, e.sink, e.options)
}

// both runs an exchange to its end at both ends.
func both(t *testing.T, n *linktest.Net, caps proto.Caps, dialer, listener *end) {
	t.Helper()
	var first func(wire.TransferID) []byte
	if dialer.source != nil && dialer.source.Ready != nil {
		first = dialer.source.EarlyData
	}
	dl, ll := n.PairFirst(t, caps, first)
	done := make(chan struct{})
	go func() {
		defer close(done)
		listener.run(t.Context(), ll)
	}()
	dialer.run(t.Context(), dl)
	<-done
}

func from(b []byte) *pipe.Source { return &pipe.Source{Reader: bytes.NewReader(b)} }

func TestSizes(t *testing.T) {
	t.Parallel()
	const c = proto.MaxChunkBytes
	for _, size := range []int{0, 1, c - 1, c, c + 1, 2 * c, proto.AckEveryBytes + 1, proto.WindowBytes + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				data := xtest.Random(size)
				var dialer, listener end
				dialer.source = from(data)
				both(t, n, proto.CapSend, &dialer, &listener)
				xtest.WantCode(t, "sender", dialer.err, proto.OK)
				xtest.WantCode(t, "receiver", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), data) {
					t.Errorf("got %d other bytes, want %d", listener.got.Len(), size)
				}
				digest := blake3.Sum256(data)
				for _, r := range []*pipe.Receipt{dialer.result.Sent, listener.result.Received} {
					if r == nil || r.Bytes != int64(size) || r.Digest != digest {
						t.Errorf("got receipt %+v, want %d bytes with digest %x", r, size, digest)
					}
				}
				if dialer.result.Received != nil || listener.result.Sent != nil {
					t.Error("a receipt for a direction that was not granted")
				}
			})
		})
	}
}

func TestBothWays(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]int{{0, 0}, {1, 3 << 20}, {3 << 20, 1}, {6 << 20, 6 << 20}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				there, back := xtest.Random(sizes[0]), xtest.Random(sizes[1])
				var dialer, listener end
				dialer.source, listener.source = from(there), from(back)
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), there) || !bytes.Equal(dialer.got.Bytes(), back) {
					t.Errorf("got %d and %d bytes, want the %v that were sent", listener.got.Len(), dialer.got.Len(), sizes)
				}
			})
		})
	}
}

func TestPull(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		data := xtest.Random(1 << 20)
		var dialer, listener end
		listener.source = from(data)
		both(t, n, proto.CapRecv, &dialer, &listener)
		xtest.WantCode(t, "receiver", dialer.err, proto.OK)
		xtest.WantCode(t, "sender", listener.err, proto.OK)
		if !bytes.Equal(dialer.got.Bytes(), data) {
			t.Errorf("got %d other bytes, want %d", dialer.got.Len(), len(data))
		}
	})
}

// A blocked consumer must not stop the other direction: both send more than all buffers
// between them hold.
func TestStalledConsumer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		there, back := xtest.Random(3*proto.WindowBytes/2), xtest.Random(3*proto.WindowBytes/2)
		held := make(chan struct{}) // closed when the other direction has ended
		var dialer, listener end
		dialer.source, listener.source = from(there), from(back)
		dialer.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
			<-held
			return dialer.got.Write(p)
		})}
		listener.sink = &pipe.Sink{Writer: &listener.got, Finish: func(int) error {
			close(held)
			return nil
		}}
		both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
		xtest.WantCode(t, "dialer", dialer.err, proto.OK)
		xtest.WantCode(t, "listener", listener.err, proto.OK)
		if !bytes.Equal(dialer.got.Bytes(), back) {
			t.Errorf("got %d other bytes, want %d", dialer.got.Len(), len(back))
		}
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSinkFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		here     proto.Code
		at       int // bytes that the sink takes first
		there    proto.Code
		byFinish bool
	}{
		{err: syscall.ENOSPC, here: proto.Space, there: proto.Space},
		{err: syscall.EIO, here: proto.IO, there: proto.IO, at: 1 << 20},
		{err: &proto.Error{Code: proto.BrokenStdout, Err: syscall.EPIPE}, here: proto.BrokenStdout, there: proto.Truncated},
		{err: syscall.ENOSPC, here: proto.Space, there: proto.Space, byFinish: true},
	} {
		t.Run(fmt.Sprint(c.here, c.at, c.byFinish), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				var dialer, listener end
				dialer.source = from(xtest.Random(5 << 20))
				left := c.at
				listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
					if n := min(left, len(p)); n < len(p) && !c.byFinish {
						left -= n
						return n, c.err
					}
					left -= len(p)
					return len(p), nil
				}), Finish: func(int) error { return c.err }}
				both(t, n, proto.CapSend, &dialer, &listener)
				xtest.WantCode(t, "receiver", listener.err, c.here)
				xtest.WantCode(t, "sender", dialer.err, c.there)
			})
		})
	}
}

func TestSourceFails(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: io.MultiReader(bytes.NewReader(xtest.Random(300000)), errReader{syscall.EIO})}
		finished := false
		listener.sink = &pipe.Sink{Writer: &listener.got, Finish: func(int) error { finished = true; return nil }}
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.IO)
		xtest.WantCode(t, "receiver", listener.err, proto.IO)
		if finished {
			t.Error("the sink was finished although the source failed")
		}
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestProducerStatus(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		var dialer, listener end
		dialer.source = from(xtest.Random(1000))
		dialer.source.Status = func() int { return 3 }
		status := -1
		listener.sink = &pipe.Sink{Writer: &listener.got, Finish: func(s int) error { status = s; return nil }}
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.Producer)
		xtest.WantCode(t, "receiver", listener.err, proto.Producer)
		if status != 3 || listener.got.Len() != 1000 {
			t.Errorf("sink got %d bytes and status %d, want 1000 and 3", listener.got.Len(), status)
		}
	})
}

// A consumer that is lost fails the exchange, even while nothing arrives. Once it has
// all bytes, it is no longer needed.
func TestConsumerLost(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		open, w := io.Pipe() // a silent producer
		defer w.Close()
		lost := proto.Errorf(proto.BrokenStdout, "lost")
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: open}
		listener.sink = &pipe.Sink{Writer: &listener.got, AwaitLoss: func(context.Context) error { return lost }}
		both(t, n, proto.CapSend, &dialer, &listener)
		xtest.WantCode(t, "sender", dialer.err, proto.Truncated)
		if !errors.Is(listener.err, lost) {
			t.Errorf("receiver: got %v, want %v", listener.err, lost)
		}
	})
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		var dialer, listener end
		complete, watched := make(chan struct{}), make(chan struct{})
		dialer.source = from([]byte("all"))
		listener.sink = &pipe.Sink{
			Writer: &listener.got,
			Finish: func(int) error { close(complete); <-watched; return nil },
			AwaitLoss: func(context.Context) error {
				<-complete
				close(watched)
				return errors.New("lost")
			},
		}
		both(t, n, proto.CapSend, &dialer, &listener)
		if dialer.err != nil || listener.err != nil || listener.got.String() != "all" {
			t.Errorf("got %q, sender %v, receiver %v, want all and no error", listener.got.String(), dialer.err, listener.err)
		}
	})
}

// A consumer that leaves before the end is no failure if it took all bytes and the
// source has ended, or is typed. If another source stays open, or continues later, bytes
// may be lost.
func TestConsumerLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		size int
		take int
		then string // what the source does after size bytes
		want proto.Code
	}{
		{"took all that was typed", 1000, 1000, "typed", proto.OK},
		{"took nothing of nothing typed", 0, 0, "typed", proto.OK},
		{"took all there was", 1000, 1000, "ends", proto.OK},
		{"took nothing of nothing", 0, 0, "ends", proto.OK},
		{"took all of what stays open", 1000, 1000, "stays", proto.Truncated},
		{"took all of what goes on", 1000, 1000, "goes on", proto.Truncated},
		{"left data", 5 << 20, 1000, "ends", proto.Truncated},
		{"left typed data", 5 << 20, 1000, "typed", proto.Truncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				open, w := io.Pipe() // never ends by itself
				defer w.Close()
				gone := make(chan struct{})
				var dialer, listener end
				dialer.source = &pipe.Source{Reader: io.MultiReader(bytes.NewReader(xtest.Random(c.size)), open), Typed: c.then == "typed"}
				switch c.then {
				case "ends":
					w.Close()
				case "goes on":
					time.AfterFunc(300*time.Millisecond, func() { _, _ = w.Write([]byte("more")) })
				}
				dialer.sink = &pipe.Sink{Writer: &dialer.got}
				taken := 0
				listener.sink = &pipe.Sink{Gone: gone, Writer: writerFunc(func(p []byte) (int, error) {
					n := min(len(p), c.take-taken)
					if taken += n; taken == c.take {
						close(gone)
					}
					if n < len(p) {
						return n, syscall.EPIPE
					}
					return n, nil
				})}
				if c.size == 0 {
					close(gone)
				}
				listener.source = from([]byte("answer"))
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				xtest.WantCode(t, "dialer", dialer.err, c.want)
				if dialer.got.String() != "answer" {
					t.Errorf("got %q back, want the whole answer", dialer.got.String())
				}
			})
		})
	}
}

func TestCancelTellsPeer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		open, w := io.Pipe()
		defer w.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: open}
		done := make(chan struct{})
		go func() {
			defer close(done)
			listener.run(t.Context(), ll)
		}()
		time.AfterFunc(time.Second, func() { cancel(proto.Errorf(proto.Interrupted, "interrupt")) })
		begun := time.Now()
		dialer.run(ctx, dl)
		<-done
		xtest.WantCode(t, "sender", dialer.err, proto.Interrupted)
		xtest.WantCode(t, "receiver", listener.err, proto.Truncated)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the receiver ended after %s, want about 1s", took)
		}
	})
}

func TestVanishedPeer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		open, w := io.Pipe()
		defer w.Close()
		var dialer, listener end
		dialer.source = &pipe.Source{Reader: open}
		done := make(chan struct{})
		begun := time.Now()
		time.AfterFunc(time.Minute, n.Cut) // a silent link is kept alive
		go func() {
			defer close(done)
			listener.run(t.Context(), ll)
		}()
		dialer.run(t.Context(), dl)
		<-done
		xtest.WantCode(t, "sender", dialer.err, proto.Timeout)
		xtest.WantCode(t, "receiver", listener.err, proto.Timeout)
		if took := time.Since(begun) - time.Minute; took < 0 || took > 30*time.Second {
			t.Errorf("noticed the vanished peer after %s, want within 30s", took)
		}
	})
}
