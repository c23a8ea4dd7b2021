package pipe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// target is a receiver of a fan-out, and its outcome.
type target struct {
	// take, if set, is called before each write of the sink.
	take func() error
	// finish, if set, is called when the data is to be stored.
	finish func() error
	// run, if set, stands for the receiver's exchange.
	run func(t *testing.T, l *link.Link)

	got       bytes.Buffer
	finished  atomic.Bool // the data was to be stored
	sent, err error       // how the sender's and the receiver's exchange have ended
	receipt   *pipe.Receipt
}

func (r *target) Write(p []byte) (int, error) {
	if r.take != nil {
		if err := r.take(); err != nil {
			return 0, err
		}
	}
	return r.got.Write(p)
}

func (r *target) receive(t *testing.T, l *link.Link, o pipe.Options) {
	if r.run != nil {
		r.run(t, l)
		return
	}
	_, r.err = pipe.Exchange(t.Context(), l, nil, &pipe.Sink{Writer: r, Finish: func(status int) error {
		if r.finish != nil {
			if err := r.finish(); err != nil {
				return err
			}
		}
		r.finished.Store(status == 0)
		return nil
	}}, o)
}

// fanOut sends a source to targets, and returns how that has ended as a whole.
func fanOut(t *testing.T, n *linktest.Net, source *pipe.Source, need int, lag time.Duration, o pipe.Options, targets ...*target) error {
	t.Helper()
	var set *pipe.Set
	f, err := pipe.NewFanout(pipe.FanoutOptions{
		Branches: len(targets), Need: need, Window: 1 << 20, Spool: o.Spool, Commit: func() error { return set.Commit() },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	set = pipe.NewSet(t.Context(), len(targets), need, lag, f.Holders, func(_ int, err error) error { return err })
	defer set.Close()
	go set.Watch(set.Whole())
	var wg sync.WaitGroup
	for i, r := range targets {
		dl, ll := n.Pair(t, proto.CapSend)
		wg.Go(func() { r.receive(t, ll, o) })
		wg.Go(func() {
			var result pipe.Result
			result, r.sent = pipe.Exchange(set.Context(i), dl, f.Branch(i), nil, o)
			r.receipt = result.Sent
			f.Leave(i, r.sent)
			r.sent = set.End(i, r.sent)
		})
	}
	wg.Go(func() {
		if _, err := f.Run(set.Whole(), source); err != nil {
			set.Fail(err)
		}
	})
	wg.Wait()
	_, err = set.Outcome()
	return err
}

// wantTarget checks how the transfer to one target has ended.
func wantTarget(t *testing.T, what string, r *target, sent, received proto.Code, data []byte) {
	t.Helper()
	xtest.WantCode(t, what+": sender", r.sent, sent)
	xtest.WantCode(t, what+": receiver", r.err, received)
	if stored := received == proto.OK; r.finished.Load() != stored {
		t.Errorf("%s: stored is %t, want %t", what, r.finished.Load(), stored)
	}
	if sent != proto.OK {
		return
	}
	if !bytes.Equal(r.got.Bytes(), data) {
		t.Errorf("%s: got %d other bytes, want %d", what, r.got.Len(), len(data))
	}
	if r.receipt == nil || r.receipt.Bytes != int64(len(data)) || r.receipt.Digest != digest.Sum(data) {
		t.Errorf("%s: got receipt %+v, want %d bytes", what, r.receipt, len(data))
	}
}

func TestFanout(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 2<<20 + 1} {
		for _, spool := range []int64{0, 2 << 20} {
			t.Run(fmt.Sprint(size, spool), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					data := xtest.Random(size)
					a, b, c := new(target), new(target), new(target)
					err := fanOut(t, n, from(data), 3, time.Minute, pipe.Options{Spool: spool, Flows: 2}, a, b, c)
					xtest.WantCode(t, "all", err, proto.OK)
					for i, r := range []*target{a, b, c} {
						wantTarget(t, fmt.Sprint(i), r, proto.OK, proto.OK, data)
					}
				})
			})
		}
	}
}

// A branch that fails at any place costs nothing while enough are left, and else nobody
// stores anything.
func TestQuorum(t *testing.T) {
	t.Parallel()
	data := xtest.Random(2 << 20)
	full := proto.Errorf(proto.Space, "full")
	for need := 1; need <= 3; need++ {
		for _, at := range []int{0, 1 << 20, 2<<20 - proto.MaxChunkBytes} {
			t.Run(fmt.Sprint(need, at), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					a, b, c := new(target), new(target), new(target)
					c.take = func() error {
						if c.got.Len() >= at {
							return full
						}
						return nil
					}
					err := fanOut(t, n, from(data), need, time.Minute, pipe.Options{}, a, b, c)
					want, there := proto.OK, proto.OK
					if need == 3 {
						want, there = proto.CodeOf(c.sent), proto.Truncated
					}
					xtest.WantCode(t, "all", err, want)
					if c.sent == nil {
						t.Error("the third succeeded")
					}
					wantTarget(t, "a", a, there, there, data)
					wantTarget(t, "b", b, there, there, data)
					if c.finished.Load() {
						t.Error("the third has stored")
					}
				})
			})
		}
	}
}

// A producer that fails, or an input that cannot be read, is stored nowhere.
func TestFanoutSourceFails(t *testing.T) {
	t.Parallel()
	data := xtest.Random(3 << 20)
	broken := errors.New("no more")
	for name, tt := range map[string]struct {
		source *pipe.Source
		code   proto.Code
	}{
		"status": {&pipe.Source{Reader: bytes.NewReader(data), Status: func() int { return 3 }}, proto.Producer},
		"read":   {&pipe.Source{Reader: io.MultiReader(bytes.NewReader(data), failing{broken})}, proto.IO},
	} {
		for need := 1; need <= 2; need++ {
			t.Run(fmt.Sprint(name, need), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					source := *tt.source
					source.Reader = bytes.NewReader(data)
					if name == "read" {
						source.Reader = io.MultiReader(bytes.NewReader(data), failing{broken})
					}
					a, b := new(target), new(target)
					err := fanOut(t, n, &source, need, time.Minute, pipe.Options{}, a, b)
					xtest.WantCode(t, "all", err, tt.code)
					for i, r := range []*target{a, b} {
						if r.sent == nil || r.err == nil || r.finished.Load() {
							t.Errorf("%d: got %v and %v, stored is %t; want two errors and nothing stored", i, r.sent, r.err, r.finished.Load())
						}
					}
				})
			})
		}
	}
}

// A peer that fails when it stores, after all were told to, ends the transfer to none of the
// others, though they are too few then.
func TestFailsAtStoring(t *testing.T) {
	t.Parallel()
	data := xtest.Random(1 << 20)
	full := proto.Errorf(proto.Space, "full")
	for _, pause := range []time.Duration{0, time.Second, 30 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				a, b, c := new(target), new(target), new(target)
				c.finish = func() error { return full }
				b.finish = func() error {
					<-time.After(pause)
					return nil
				}
				err := fanOut(t, n, from(data), 3, time.Minute, pipe.Options{}, a, b, c)
				if err == nil || proto.CodeOf(err) != proto.CodeOf(c.sent) {
					t.Errorf("all: got %v, want that of the third, %v", err, c.sent)
				}
				wantTarget(t, "a", a, proto.OK, proto.OK, data)
				wantTarget(t, "b", b, proto.OK, proto.OK, data)
			})
		})
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// A peer that takes nothing is dropped after --lag if it is not needed, and waited for if it
// is. The others store nothing while one that is needed has not taken all.
func TestLag(t *testing.T) {
	t.Parallel()
	data := xtest.Random(2 << 20)
	for _, tt := range []struct {
		need int
		lag  time.Duration
		at   int        // where the third one stops for three minutes
		want proto.Code // of the third
	}{
		{2, 10 * time.Second, 0, proto.Timeout},
		{1, 10 * time.Second, 1 << 20, proto.Timeout},
		{2, 10 * time.Second, 2<<20 - 1, proto.Timeout},
		{2, 0, 0, proto.OK},
		{2, time.Hour, 0, proto.OK},
		{3, 10 * time.Second, 0, proto.OK},
		{3, 10 * time.Second, 2<<20 - 1, proto.OK},
	} {
		t.Run(fmt.Sprint(tt.need, tt.lag, tt.at), func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				a, b, c := new(target), new(target), new(target)
				early := false
				stop := make(chan struct{})
				slept := false
				c.take = func() error {
					if slept || c.got.Len()+proto.MaxChunkBytes < tt.at {
						return nil
					}
					slept = true
					select {
					case <-time.After(3 * time.Minute):
					case <-stop:
					}
					early = a.finished.Load() || b.finished.Load()
					return nil
				}
				begun := time.Now()
				done := make(chan error, 1)
				go func() {
					done <- fanOut(t, n, from(data), tt.need, tt.lag, pipe.Options{}, a, b, c)
				}()
				if tt.want == proto.Timeout {
					<-time.After(2 * tt.lag)
					close(stop)
				}
				xtest.WantCode(t, "all", <-done, proto.OK)
				wantTarget(t, "a", a, proto.OK, proto.OK, data)
				wantTarget(t, "b", b, proto.OK, proto.OK, data)
				xtest.WantCode(t, "the slow one", c.sent, tt.want)
				if tt.need == 3 && early {
					t.Error("the others have stored while the third, which is needed, had not taken all")
				}
				if took := time.Since(begun); tt.want == proto.OK && took < 3*time.Minute {
					t.Errorf("took %s, want the three minutes of the third", took)
				}
			})
		})
	}
}

// A link that breaks is resumed branch by branch, and nothing is lost.
func TestFanoutResumes(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		data := xtest.Random(8 << 20)
		a, b := new(target), new(target)
		cut := sync.OnceFunc(func() {
			n.Cut()
			time.AfterFunc(30*time.Second, n.Heal)
		})
		b.take = func() error {
			if b.got.Len() > 2<<20 {
				cut()
			}
			return nil
		}
		err := fanOut(t, n, from(data), 2, time.Minute, pipe.Options{ResumeFor: time.Minute}, a, b)
		xtest.WantCode(t, "all", err, proto.OK)
		wantTarget(t, "a", a, proto.OK, proto.OK, data)
		wantTarget(t, "b", b, proto.OK, proto.OK, data)
	})
}

// An exchange that ends with its context leaves the others alone.
func TestFanoutDial(t *testing.T) {
	t.Parallel()
	set := pipe.NewSet(context.Background(), 3, 2, time.Minute, nil, func(i int, err error) error { return fmt.Errorf("peer %d: %w", i, err) })
	defer set.Close()
	gone := proto.Errorf(proto.Unreachable, "no answer")
	set.Linked(0)
	if err := set.End(1, gone); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
	set.Linked(2)
	if err := set.AwaitLinks(time.Hour); err != nil {
		t.Errorf("two of three have a link: got %v", err)
	}
	if got := set.WithLink(); fmt.Sprint(got) != "[0 2]" {
		t.Errorf("got links %v, want 0 and 2", got)
	}
	set.End(0, proto.Errorf(proto.Integrity, "other data"))
	if err := set.AwaitLinks(time.Hour); proto.CodeOf(err) != proto.Integrity || err.Error() != "peer 0: other data" {
		t.Errorf("one is left: got %v", err)
	}
	if err := context.Cause(set.Context(2)); proto.CodeOf(err) != proto.Truncated {
		t.Errorf("the last one: got %v", err)
	}
	if err := set.Commit(); proto.CodeOf(err) != proto.Integrity {
		t.Errorf("too few are left to store: got %v", err)
	}
}

// A branch that succeeds when it has just been dropped counts: a later failure of another one
// fails nothing.
func TestDroppedAndDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func() []int { return []int{0} }
		set := pipe.NewSet(context.Background(), 3, 2, time.Second, slow, func(_ int, err error) error { return err })
		defer set.Close()
		go set.Watch(set.Whole())
		<-set.Context(0).Done()
		if err := set.End(0, nil); err != nil {
			t.Errorf("the dropped one: got %v", err)
		}
		_ = set.End(1, nil)
		_ = set.End(2, proto.Errorf(proto.Space, "full"))
		branches, err := set.Outcome()
		if err != nil || branches[0] != nil || branches[1] != nil || proto.CodeOf(branches[2]) != proto.Space {
			t.Errorf("got %v, %v; want two successes, which are enough", branches, err)
		}
	})
}

// A peer that lies about what it has taken harms nobody else.
func TestFanoutLiars(t *testing.T) {
	t.Parallel()
	data := xtest.Random(512 << 10)
	for name, tt := range map[string]struct {
		read int // of the stream, before the lie
		ack  wire.Ack
		code proto.Code
	}{
		"more than was sent": {0, wire.Ack{Bytes: 1 << 40}, proto.Protocol},
		"enough at once":     {0, wire.Ack{Final: true, Digest: new(digest.Digest)}, proto.Truncated},
		"another digest":     {len(data), wire.Ack{Bytes: int64(len(data)), Final: true, Digest: new(digest.Digest)}, proto.Integrity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				a, b, c := new(target), new(target), new(target)
				c.run = func(_ *testing.T, l *link.Link) {
					if _, c.err = io.CopyN(io.Discard, l, int64(tt.read)); c.err == nil {
						ack := tt.ack
						ack.Transfer = l.Transfer
						c.err = l.Send(wire.AppendFrame(nil, &ack))
					}
					_, _ = io.Copy(io.Discard, l)
					l.Close(nil)
				}
				err := fanOut(t, n, from(data), 2, time.Minute, pipe.Options{}, a, b, c)
				xtest.WantCode(t, "all", err, proto.OK)
				wantTarget(t, "a", a, proto.OK, proto.OK, data)
				wantTarget(t, "b", b, proto.OK, proto.OK, data)
				xtest.WantCode(t, "the liar", c.sent, tt.code)
			})
		})
	}
}
