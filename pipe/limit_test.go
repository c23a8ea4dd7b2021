package pipe_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// TestLimits holds the rate of either end within 2 % over 10 s, in both directions at the
// same time, with early data and with several flows.
func TestLimits(t *testing.T) {
	t.Parallel()
	const rate, took = 300_000, 10 * time.Second
	s, err := ratelimit.ParseSchedule(fmt.Sprint(rate))
	if err != nil {
		t.Fatal(err)
	}
	limit := func() (o pipe.Options) {
		o.SendLimit, o.ReceiveLimit = ratelimit.New(s), ratelimit.New(s)
		return o
	}
	for _, tt := range []struct {
		what             string
		dialer, listener bool // which end limits
		flows            int
		early            bool
	}{
		{"the dialer", true, false, 1, false},
		{"the listener", false, true, 1, false},
		{"both", true, true, 1, false},
		{"the dialer, over 4 flows", true, false, 4, false},
		{"the listener, over 4 flows", false, true, 4, false},
		{"the dialer, with early data", true, false, 1, true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				var dialer, listener end
				if tt.dialer {
					dialer.options = limit()
				}
				if tt.listener {
					listener.options = limit()
				}
				dialer.options.Flows = tt.flows
				data := xtest.Random(rate * int(took/time.Second))
				dialer.source, listener.source = from(data), from(data)
				if tt.early {
					dialer.source.Ready = func() bool { return true }
				}
				both(t, n, proto.CapSend|proto.CapRecv, &dialer, &listener)
				xtest.WantCode(t, "dialer", dialer.err, proto.OK)
				xtest.WantCode(t, "listener", listener.err, proto.OK)
				if !bytes.Equal(dialer.got.Bytes(), data) || !bytes.Equal(listener.got.Bytes(), data) {
					t.Errorf("got %d and %d bytes, want %d each", dialer.got.Len(), listener.got.Len(), len(data))
				}
				for _, r := range []*pipe.Receipt{dialer.result.Sent, dialer.result.Received} {
					if r == nil || math.Abs(float64(r.Elapsed-took)) > 0.02*float64(took) {
						t.Errorf("got receipt %+v, want %v within 2 %%", r, took)
					}
				}
			})
		})
	}
}
