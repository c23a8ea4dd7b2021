package pipe_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A peer that has proven itself and says nothing is ended after five seconds.
func TestSilentPeer(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		begun := time.Now()
		go func() { _, _ = io.Copy(io.Discard, dl) }()
		_, err := pipe.Exchange(t.Context(), ll, nil, &pipe.Sink{Writer: io.Discard}, pipe.Options{ResumeFor: time.Hour})
		xtest.WantCode(t, "exchange with a peer that says nothing", err, proto.Timeout)
		if took := time.Since(begun); took < proto.MetaTimeout || took > proto.MetaTimeout+2*time.Second {
			t.Errorf("took %s, want %s", took, proto.MetaTimeout)
		}
	})
}

// A path that is cut as soon as the link is made delays the transfer's begin, and does
// not end it.
func TestSilentPath(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		n.Cut()
		time.AfterFunc(30*time.Second, n.Heal)
		options := pipe.Options{ResumeFor: time.Minute}
		data := xtest.Random(1000)
		var got []byte
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := pipe.Exchange(t.Context(), dl, &pipe.Source{Reader: &slowly{data, 1000, time.Millisecond}}, nil, options)
			xtest.WantCode(t, "dialer", err, proto.OK)
		})
		_, err := pipe.Exchange(t.Context(), ll, nil, &pipe.Sink{Writer: appendTo{&got}}, options)
		xtest.WantCode(t, "listener", err, proto.OK)
		wg.Wait()
		if string(got) != string(data) {
			t.Errorf("got %d bytes, want the %d that were sent", len(got), len(data))
		}
	})
}

type appendTo struct{ b *[]byte }

func (a appendTo) Write(p []byte) (int, error) {
	*a.b = append(*a.b, p...)
	return len(p), nil
}

// stallCase is a peer that holds a place, and whether it loses it.
type stallCase struct {
	name, kind string
	says       int  // bytes, every 30 seconds
	busy       bool // the listener itself is slow
	gives      int  // bytes of the listener
	takes      int  // bytes that the peer acknowledges, every 30 seconds
	loses      bool
}

func (c stallCase) want() proto.Caps {
	switch {
	case c.kind == wire.KindTTY:
		return proto.CapTTYView
	case c.gives > 0:
		return proto.CapRecv
	}
	return proto.CapSend
}

// A transfer of files whose peer makes no progress for five minutes loses its place to
// another peer, and only then. A byte a minute is no progress. One that waits for this
// end does not lose its place, and a pipe or a terminal only if its peer takes nothing of
// what waits for it.
func TestStalledTransferGivesItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []stallCase{
		{name: "silent", kind: wire.KindFiles, loses: true},
		{name: "a byte now and then", kind: wire.KindFiles, says: 1, loses: true},
		{name: "slow", kind: wire.KindFiles, says: proto.StallBytes / 5},
		{name: "takes nothing", kind: wire.KindPipe, gives: 8 << 20, loses: true},
		{name: "takes a byte now and then", kind: wire.KindPipe, gives: 8 << 20, takes: 1, loses: true},
		{name: "takes slowly", kind: wire.KindPipe, gives: 8 << 20, takes: proto.StallBytes / 5},
		{name: "got little", kind: wire.KindPipe, gives: 1000},
		{name: "a viewer that takes nothing", kind: wire.KindTTY, gives: 8 << 20, loses: true},
		{name: "a viewer of a quiet terminal", kind: wire.KindTTY, gives: 1000},
		{name: "waits for the listener", kind: wire.KindFiles, says: 1, busy: true},
		{name: "pipe", kind: wire.KindPipe},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				e, key := n.Endpoint(t)
				l, err := e.Listen(link.ListenOptions{
					Guard: linktest.Anyone{}, Offer: proto.AllCaps, Max: 1, Takes: func(string) bool { return true },
				})
				if err != nil {
					t.Fatal(err)
				}
				dial := func() (*link.Link, error) {
					from, _ := n.Endpoint(t)
					return from.Dial(t.Context(), link.Target{
						ID: key.ID(), Addrs: []string{e.Addr().String()}, Credential: token.KeyCredential(), Want: c.want(), Kind: c.kind,
					})
				}
				dl, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				ll, err := l.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				var wg sync.WaitGroup
				var ended error
				lost := make(chan struct{})
				wg.Go(func() {
					defer close(lost)
					source, sink, wait := pipe.StartDialogue(ctx, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
						if c.busy {
							<-ctx.Done()
						}
						if _, err := to.Write(make([]byte, c.gives)); err != nil {
							return err
						}
						_, err := io.Copy(io.Discard, from)
						return err
					})
					_, err := pipe.Exchange(ctx, ll, source, sink, pipe.Options{})
					ended = wait(err)
				})
				wg.Go(func() { _, _ = io.Copy(io.Discard, dl) })
				if c.want() != proto.CapRecv {
					send(dl, frame(&wire.Meta{Transfer: dl.Transfer, Kind: c.kind}))
				}
				for i := range 20 {
					if c.says > 0 && !(c.busy && i > 1) {
						send(dl, chunk(int64(i*c.says), make([]byte, c.says)))
					}
					if c.takes > 0 && i > 0 {
						send(dl, frame(&wire.Ack{Transfer: dl.Transfer, Bytes: int64(i * c.takes)}))
					}
					<-time.After(30 * time.Second)
					next, err := dial()
					if err != nil {
						xtest.WantCode(t, "dial of another peer", err, proto.Busy)
						continue
					}
					if waited := time.Duration(i+1) * 30 * time.Second; !c.loses || waited < proto.StallTimeout {
						t.Errorf("another peer got the place after %s", waited)
					}
					next.Close(nil)
					break
				}
				if c.loses {
					select {
					case <-lost:
					case <-time.After(time.Minute):
					}
				}
				cancel(errors.New("enough"))
				dl.Close(nil)
				wg.Wait()
				if got := proto.CodeOf(ended) == proto.Timeout; got != c.loses {
					t.Errorf("the transfer ended with %v, want that it lost its place: %v", ended, c.loses)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
