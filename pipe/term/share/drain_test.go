package share_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/proto/wire"
)

// The end of a session does not wait long for a viewer that acknowledges the same
// position again and again, nor forever for one that takes a byte at a time.
func TestDrainOfHostileViewer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		step int64 // bytes a second
		most time.Duration
	}{
		{"nothing", 0, 5 * time.Second},
		{"a little", 1, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := share.New(share.Options{})
				from, says := io.Pipe()
				shown, to := io.Pipe()
				served := make(chan error, 1)
				go func() { served <- s.Serve(t.Context(), from, to, sharetest.Visitor(sharetest.MayView)) }()
				go func() { _, _ = io.Copy(io.Discard, shown) }()
				_, _ = says.Write(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw}))
				synctest.Wait()
				s.Output([]byte(strings.Repeat("x", 1000)))
				s.Exit(0, 0)
				acks := make(chan struct{}) // closed when there are no more
				go func() {
					defer close(acks)
					for seq := int64(0); seq <= 1000; seq += c.step {
						if _, err := says.Write(wire.AppendFrame(nil, &wire.TermAck{Seq: seq})); err != nil {
							return
						}
						<-time.After(time.Second)
					}
				}()
				begun := time.Now()
				drained := make(chan struct{}) // closed when nobody is waited for
				go func() {
					defer close(drained)
					s.Drain(t.Context())
				}()
				select {
				case <-drained:
				case <-time.After(10 * time.Minute):
				}
				if took := time.Since(begun); took > c.most {
					t.Errorf("the end took %s, want at most %s", took, c.most)
				}
				_ = says.CloseWithError(io.ErrUnexpectedEOF)
				<-served
				<-drained
				<-acks
			})
		})
	}
}
