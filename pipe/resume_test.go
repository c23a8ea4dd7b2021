package pipe_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// slowly reads b in blocks, one each interval, as from a slow producer.
type slowly struct {
	b     []byte
	block int
	every time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	<-time.After(s.every)
	n := copy(p[:min(s.block, len(p))], s.b)
	s.b = s.b[n:]
	return n, nil
}

// outages cuts the network at each of the given times, for the given duration.
func outages(n *linktest.Net, begun time.Time, at []time.Duration, lasting time.Duration) {
	for _, d := range at {
		time.AfterFunc(time.Until(begun.Add(d)), n.Cut)
		time.AfterFunc(time.Until(begun.Add(d+lasting)), n.Heal)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	for _, lasting := range []time.Duration{time.Second, 5 * time.Second, 12 * time.Second, 100 * time.Second} {
		t.Run(fmt.Sprint(lasting), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				there, back := xtest.Random(12<<20), xtest.Random(1<<20)
				var dialer, listener end
				dialer.options.ResumeFor, listener.options.ResumeFor = 2*time.Minute, 2*time.Minute
				dialer.source = &pipe.Source{Reader: &slowly{there, 4 << 10, 100 * time.Millisecond}}
				listener.source = &pipe.Source{Reader: &slowly{back, 4 << 10, time.Second}}
				outages(n, time.Now(), []time.Duration{10 * time.Second, 125 * time.Second, 250 * time.Second}, lasting)
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(listener.got.Bytes(), there) || !bytes.Equal(dialer.got.Bytes(), back) {
					t.Errorf("got %d and %d bytes, want exactly the %d and %d that were sent",
						listener.got.Len(), dialer.got.Len(), len(there), len(back))
				}
			})
		})
	}
}

// Whenever the network is cut, during the final handshake too, both ends agree on the
// outcome.
func TestCutAtAnyTime(t *testing.T) {
	t.Parallel()
	for i := range 60 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				data := xtest.Random(r.IntN(3 << 20))
				var dialer, listener end
				dialer.options.ResumeFor, listener.options.ResumeFor = time.Minute, time.Minute
				dialer.source = &pipe.Source{Reader: &slowly{data, 256 << 10, 5 * time.Millisecond}}
				begun := time.Now()
				outages(n, begun, []time.Duration{time.Duration(80+r.IntN(250)) * time.Millisecond}, time.Duration(1+r.IntN(20))*time.Second)
				both(t, n, proto.CapSend, &dialer, &listener)
				if took := time.Since(begun); took > 3*time.Minute {
					t.Errorf("took %s", took)
				}
				if !bytes.Equal(listener.got.Bytes(), data) {
					t.Errorf("got %d bytes, want exactly the %d that were sent", listener.got.Len(), len(data))
				}
				xtest.WantCode(t, "receiver", listener.err, proto.OK)
				xtest.WantCode(t, "sender", dialer.err, proto.OK)
			})
		})
	}
}

func TestBrokenForTooLong(t *testing.T) {
	t.Parallel()
	for _, resumeFor := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint(resumeFor), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				var dialer, listener end
				dialer.options.ResumeFor, listener.options.ResumeFor = resumeFor, resumeFor
				dialer.source = &pipe.Source{Reader: &slowly{xtest.Random(4 << 20), 16 << 10, 100 * time.Millisecond}}
				begun := time.Now()
				time.AfterFunc(5*time.Second, n.Cut)
				both(t, n, proto.CapSend, &dialer, &listener)
				xtest.WantCode(t, "sender", dialer.err, proto.Timeout)
				xtest.WantCode(t, "receiver", listener.err, proto.Timeout)
				if took := time.Since(begun) - 5*time.Second; took < resumeFor || took > resumeFor+2*proto.IdleTimeout {
					t.Errorf("gave up after %s, want about %s", took, resumeFor)
				}
				<-time.After(time.Second) // for the last read of the source
			})
		})
	}
}
