package share_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/wire"
)

// A raw viewer loses no byte to a link that is cut for a while, as long as the sharer
// holds the output. Beyond that the viewer knows how much it missed.
func TestCutLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		history int
		missed  bool
		want    proto.Code
	}{
		{"remembered", 1 << 20, false, proto.OK},
		{"forgotten", 64 << 10, true, proto.Truncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: 5 * time.Millisecond}
				s := share.New(share.Options{Cols: 80, Rows: 24, History: c.history})
				var got bytes.Buffer
				var end view.End
				ended := pair(t, n, s, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) (err error) {
					end, err = view.Run(ctx, from, to, view.Options{Form: view.Raw, Out: &got, Strict: true})
					return err
				})
				for len(s.List()) == 0 {
					<-time.After(time.Millisecond)
				}
				want := make([]byte, 600<<10)
				for i := range want {
					want[i] = byte(rand.IntN(256))
				}
				at := 0
				out := func(n int) { // in a while
					for range n {
						s.Output(want[at : at+4<<10])
						at += 4 << 10
						<-time.After(200 * time.Millisecond)
					}
				}
				out(20)
				n.Cut()
				out(50)
				s.Resize(100, 30)
				out(50)
				n.Heal()
				out(30)
				s.Exit(7, 0)
				err := <-ended
				if proto.CodeOf(err) != c.want || end.Code != 7 {
					t.Errorf("got %v and %+v, want %v and 7", err, end, c.want)
				}
				if same := bytes.Equal(got.Bytes(), want); same == c.missed || (end.Missed > 0) != c.missed {
					t.Errorf("got %d bytes, missed %d, want %d", got.Len(), end.Missed, len(want))
				}
			})
		})
	}
}

// pair views a session over a link, and returns how the view ended.
func pair(t *testing.T, n *linktest.Net, s *share.Session, side func(context.Context, *io.PipeReader, *io.PipeWriter) error) <-chan error {
	t.Helper()
	dialer, listener := n.Pair(t, proto.CapTTYView)
	dialer.Kind, listener.Kind = wire.KindTTY, wire.KindTTY
	exchange := func(l *link.Link, side func(context.Context, *io.PipeReader, *io.PipeWriter) error) error {
		source, sink, wait := pipe.StartDialogue(t.Context(), side)
		_, err := pipe.Exchange(t.Context(), l, source, sink, pipe.Options{ResumeFor: time.Minute, Flows: 1})
		return wait(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- exchange(listener, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
			return s.Serve(ctx, from, to, sharetest.Visitor(sharetest.MayView))
		})
	}()
	ended := make(chan error, 1)
	go func() {
		err := exchange(dialer, side)
		if serr := <-served; err == nil {
			err = serr
		}
		ended <- err
	}()
	return ended
}

// A granted right outlives a broken link. A right that is revoked while the link is
// broken is gone when it is back.
func TestCutLinkKeepsGrant(t *testing.T) {
	t.Parallel()
	for name, revoked := range map[string]bool{"granted": false, "revoked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &linktest.Net{Latency: 5 * time.Millisecond}
				in := new(typed)
				s := share.New(share.Options{Cols: 80, Rows: 24, Input: in})
				go s.Feed()
				keys := make(chan string)
				ended := pair(t, n, s, func(_ context.Context, from *io.PipeReader, to *io.PipeWriter) error {
					shown := make(chan error, 1)
					go func() {
						_, err := io.Copy(io.Discard, from)
						shown <- err
					}()
					if _, err := to.Write(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw})); err != nil {
						return err
					}
					for k := range keys {
						if _, err := to.Write(wire.AppendTermIn(nil, []byte(k))); err != nil {
							return err
						}
					}
					_ = to.Close() // never fails
					return <-shown
				})
				for len(s.List()) == 0 {
					<-time.After(time.Millisecond)
				}
				want := "ab"
				if err := s.Grant(1); err != nil {
					t.Fatal(err)
				}
				keys <- "a"
				<-time.After(time.Second)
				n.Cut()
				<-time.After(20 * time.Second)
				if revoked {
					want = "a"
					if err := s.Revoke(1); err != nil {
						t.Fatal(err)
					}
				}
				n.Heal()
				keys <- "b"
				<-time.After(10 * time.Second)
				if got := in.String(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				close(keys)
				s.Exit(0, 0)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
