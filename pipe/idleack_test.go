package pipe_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/linktest"
	"mesh/proto/xtest"
)

// What the consumer of a pipe has taken is acknowledged soon, also when it is little and the
// input goes on.
func TestIdleAck(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		in, feed := io.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		var counters pipe.Counters
		sent := make(chan error, 2)
		go func() {
			_, err := pipe.Exchange(ctx, dl, &pipe.Source{Reader: in}, nil, pipe.Options{Counters: &counters})
			sent <- err
		}()
		go func() {
			_, err := pipe.Exchange(t.Context(), ll, nil, &pipe.Sink{Writer: io.Discard}, pipe.Options{})
			sent <- err
		}()
		total := int64(0)
		for _, size := range []int{1, 100, proto.AckEveryBytes - 1, proto.AckEveryBytes, proto.AckEveryBytes + 1} {
			if _, err := feed.Write(xtest.Random(size)); err != nil {
				t.Fatal(err)
			}
			total += int64(size)
			<-time.After(time.Second) // in virtual time
			if got := counters.Sent.Load(); got != total {
				t.Errorf("a second after %d bytes: %d are acknowledged", total, got)
			}
		}
		cancel(enough)
		if err := <-sent; err == nil {
			t.Error("got no error, want one")
		}
		<-sent
		feed.Close()
	})
}
