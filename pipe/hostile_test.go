package pipe_test

import (
	"bytes"
	"fmt"
	"io"
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

// ended reads until the peer closes, and returns the error that the peer sends.
func ended(l *link.Link) error {
	_, err := io.Copy(io.Discard, l)
	return err
}

// send writes frames. The peer may close before the last one.
func send(l *link.Link, frames ...[]byte) {
	for _, f := range frames {
		_ = l.Send(f)
	}
}

func frame(m wire.Message) []byte { return wire.AppendFrame(nil, m) }

func chunk(offset int64, data []byte) []byte {
	return append(wire.AppendChunkPrefix(nil, offset, len(data)), data...)
}

// A sender that breaks the protocol ends the link with the code of its breach, and its
// transfer never counts as complete.
func TestHostileSender(t *testing.T) {
	t.Parallel()
	meta := func(l *link.Link) []byte { return frame(&wire.Meta{Transfer: l.Transfer, Kind: wire.KindPipe}) }
	done := func(l *link.Link, bytes int64) []byte {
		return frame(&wire.Done{Transfer: l.Transfer, Bytes: bytes})
	}
	data := xtest.Random(1000)
	for what, c := range map[string]struct {
		frames func(l *link.Link) [][]byte
		want   proto.Code
	}{
		"data first":      {func(*link.Link) [][]byte { return [][]byte{chunk(0, data)} }, proto.Protocol},
		"begun twice":     {func(l *link.Link) [][]byte { return [][]byte{meta(l), meta(l)} }, proto.Protocol},
		"a gap":           {func(l *link.Link) [][]byte { return [][]byte{meta(l), chunk(1, data)} }, proto.Protocol},
		"the same twice":  {func(l *link.Link) [][]byte { return [][]byte{meta(l), chunk(0, data), chunk(0, data)} }, proto.Protocol},
		"end first":       {func(l *link.Link) [][]byte { return [][]byte{done(l, 0)} }, proto.Protocol},
		"fewer than said": {func(l *link.Link) [][]byte { return [][]byte{meta(l), chunk(0, data), done(l, 1001)} }, proto.Integrity},
		"more than said":  {func(l *link.Link) [][]byte { return [][]byte{meta(l), chunk(0, data), done(l, 999)} }, proto.Integrity},
		"another digest":  {func(l *link.Link) [][]byte { return [][]byte{meta(l), chunk(0, data), done(l, 1000)} }, proto.Integrity},
		"another transfer": {func(*link.Link) [][]byte {
			return [][]byte{frame(&wire.Meta{Transfer: wire.TransferID{1}, Kind: wire.KindPipe})}
		}, proto.Protocol},
		"another kind": {func(l *link.Link) [][]byte {
			return [][]byte{frame(&wire.Meta{Transfer: l.Transfer, Kind: wire.KindFiles})}
		}, proto.Protocol},
		"the end of another": {func(l *link.Link) [][]byte {
			return [][]byte{meta(l), frame(&wire.Done{Transfer: wire.TransferID{1}})}
		}, proto.Protocol},
		"takes what is not sent": {func(l *link.Link) [][]byte {
			return [][]byte{meta(l), frame(&wire.Ack{Transfer: l.Transfer})}
		}, proto.Protocol},
		"goes on with what is not sent": {func(l *link.Link) [][]byte {
			return [][]byte{meta(l), frame(&wire.Resume{Transfer: l.Transfer})}
		}, proto.Protocol},
		"a handshake": {func(*link.Link) [][]byte {
			return [][]byte{frame(&wire.Deny{Class: wire.ClassBusy})}
		}, proto.Protocol},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				dl, ll := n.Pair(t, proto.CapSend)
				go send(dl, c.frames(dl)...)
				var listener end
				listener.sink = &pipe.Sink{Writer: io.Discard, Finish: func(int) error {
					t.Error("the sink was finished")
					return nil
				}}
				told := make(chan error, 1)
				go func() { told <- ended(dl) }()
				listener.run(t.Context(), ll)
				xtest.WantCode(t, "receiver", listener.err, c.want)
				xtest.WantCode(t, "sender", <-told, c.want)
			})
		})
	}
}

// A sender that breaks the protocol behind FILE_DONE gets its code. It makes no failure of
// a transfer whose sink finishes, and no sink finishes after the failure.
func TestHostileSenderGoesOn(t *testing.T) {
	t.Parallel()
	data := xtest.Random(1000)
	for what, more := range map[string]func(l *link.Link) []byte{
		"begins again":           func(l *link.Link) []byte { return frame(&wire.Meta{Transfer: l.Transfer, Kind: wire.KindPipe}) },
		"takes what is not sent": func(l *link.Link) []byte { return frame(&wire.Ack{Transfer: l.Transfer}) },
		"a handshake":            func(*link.Link) []byte { return frame(&wire.Deny{Class: wire.ClassBusy}) },
	} {
		for _, over := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, over: %t", what, over), func(t *testing.T) {
				t.Parallel()
				linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
					dl, ll := n.Pair(t, proto.CapSend)
					written, finishing, closed, returned := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
					go func() {
						defer close(closed)
						send(dl, frame(&wire.Meta{Transfer: dl.Transfer, Kind: wire.KindPipe}), chunk(0, data))
						<-written
						send(dl, frame(&wire.Done{Transfer: dl.Transfer, Bytes: int64(len(data)), Digest: digest.Sum(data)}))
						if over {
							<-finishing
						}
						send(dl, more(dl))
						_ = ended(dl)
					}()
					finished := false
					var listener end
					listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
						close(written)
						if !over {
							<-returned
						}
						return len(p), nil
					}), Finish: func(int) error {
						finished = true
						close(finishing)
						<-closed
						return nil
					}}
					listener.run(t.Context(), ll)
					close(returned)
					synctest.Wait()
					if finished != over || (listener.err == nil) != over || (listener.result.Received != nil) != over {
						t.Errorf("got %v, receipt %v; finished: %t; want no failure: %t", listener.err, listener.result.Received, finished, over)
					}
				})
			})
		}
	}
}

// A sender that ignores the window cannot make the receiver buffer more than that.
func TestHostileSenderBeyondWindow(t *testing.T) {
	t.Parallel()
	linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
		dl, ll := n.Pair(t, proto.CapSend)
		go func() {
			send(dl, frame(&wire.Meta{Transfer: dl.Transfer, Kind: wire.KindPipe}))
			block := make([]byte, proto.MaxChunkBytes)
			for offset := int64(0); offset <= dl.PeerWindow; offset += int64(len(block)) {
				send(dl, chunk(offset, block))
			}
		}()
		var listener end
		open := make(chan struct{})
		defer close(open)
		listener.sink = &pipe.Sink{Writer: writerFunc(func(p []byte) (int, error) {
			<-open
			return len(p), nil
		})}
		listener.run(t.Context(), ll)
		xtest.WantCode(t, "receiver", listener.err, proto.Protocol)
	})
}

// On a flow a sender may send chunks in any order, and no other frames.
func TestHostileFlow(t *testing.T) {
	t.Parallel()
	for what, say := range map[string]func(l *link.Link){
		"ends there": func(l *link.Link) { send(l, frame(&wire.Done{Transfer: l.Transfer})) },
		"in pieces": func(l *link.Link) {
			for i := range int64(proto.MaxPieces + 1) {
				send(l, chunk(2*i, []byte{1}))
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				dl, ll := n.Pair(t, proto.CapSend)
				go func() {
					flow, err := dl.AddFlow(t.Context(), dl.Via())
					if err != nil {
						t.Error(err)
						return
					}
					defer flow.Close(nil)
					say(flow)
					_ = ended(flow)
				}()
				var listener end
				listener.run(t.Context(), ll)
				xtest.WantCode(t, "receiver", listener.err, proto.Protocol)
			})
		})
	}
}

// A receiver that breaks the protocol ends the link, and its acknowledgements do not
// count.
func TestHostileReceiver(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		frames func(l *link.Link) [][]byte
		want   proto.Code
	}{
		"takes more than there is": {func(l *link.Link) [][]byte { return [][]byte{frame(&wire.Ack{Transfer: l.Transfer, Bytes: 1001})} }, proto.Protocol},
		"takes less than before": {func(l *link.Link) [][]byte {
			return [][]byte{frame(&wire.Ack{Transfer: l.Transfer, Bytes: 2}), frame(&wire.Ack{Transfer: l.Transfer, Bytes: 1})}
		}, proto.Protocol},
		"takes another transfer": {func(*link.Link) [][]byte { return [][]byte{frame(&wire.Ack{Transfer: wire.TransferID{1}})} }, proto.Protocol},
		"has taken other bytes": {func(l *link.Link) [][]byte {
			return [][]byte{frame(&wire.Ack{Transfer: l.Transfer, Bytes: 1000, Final: true, Digest: &wire.Digest{1}})}
		}, proto.Integrity},
		"goes on, and nothing was broken": {func(l *link.Link) [][]byte { return [][]byte{frame(&wire.Resume{Transfer: l.Transfer})} }, proto.Protocol},
		"sends too": {func(l *link.Link) [][]byte {
			return [][]byte{frame(&wire.Meta{Transfer: l.Transfer, Kind: wire.KindPipe})}
		}, proto.Protocol},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				dl, ll := n.Pair(t, proto.CapRecv)
				told := make(chan error, 1)
				go func() {
					for typ := wire.TypeMeta; typ != wire.TypeDone; {
						var err error
						if typ, _, err = wire.ReadFrame(dl, wire.TypeMeta, wire.TypeChunk, wire.TypeDone); err != nil {
							t.Error(err)
							break
						}
					}
					send(dl, c.frames(dl)...)
					told <- ended(dl)
				}()
				var listener end
				listener.source = from(xtest.Random(1000))
				listener.run(t.Context(), ll)
				xtest.WantCode(t, "sender", listener.err, c.want)
				xtest.WantCode(t, "receiver", <-told, c.want)
			})
		})
	}
}

// counted counts the bytes that are read from it.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A receiver that acknowledges bytes before they were sent cannot make the sender read
// on and buffer them, neither on the first link nor on a later one.
func TestHostileReceiverAhead(t *testing.T) {
	t.Parallel()
	const step = proto.WindowBytes
	ahead := func(l *link.Link) {
		for taken := int64(step); taken <= 8*step; taken += step {
			<-time.After(time.Second)
			send(l, frame(&wire.Ack{Transfer: l.Transfer, Bytes: taken}))
		}
	}
	for what, say := range map[string]func(t *testing.T, l *link.Link) *link.Link{
		"with a spool": func(_ *testing.T, l *link.Link) *link.Link { return l },
		"on another link": func(t *testing.T, l *link.Link) *link.Link {
			l.Break(proto.Errorf(proto.Timeout, "nothing heard for long"))
			next, err := l.Resume(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return next
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				dl, ll := n.Pair(t, proto.CapRecv)
				source := &counted{Reader: io.MultiReader(bytes.NewReader(make([]byte, 16*step)), errReader{io.EOF})}
				var listener end
				listener.source = &pipe.Source{Reader: source}
				listener.options.ResumeFor = time.Minute
				limit := int64(step)
				if what == "with a spool" {
					limit = 2 * step
					listener.options.Spool = limit
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					l := say(t, dl)
					ahead(l)
					l.Close(nil)
				}()
				listener.run(t.Context(), ll)
				<-done
				xtest.WantCode(t, "sender", listener.err, proto.Protocol)
				if got := source.n.Load(); got > limit+2*proto.MaxChunkBytes {
					t.Errorf("%d bytes of the source were read, want no more than %d", got, limit)
				}
			})
		})
	}
}

// A transfer with another digest at the peer is not over, not even for a moment: another
// goroutine would take that for success.
func TestHostileReceiverDigest(t *testing.T) {
	t.Parallel()
	data := xtest.Random(1000)
	right, wrong := digest.Sum(data), wire.Digest{1}
	for _, c := range []struct {
		digest wire.Digest
		over   bool
		want   proto.Code
	}{{right, true, proto.OK}, {wrong, false, proto.Integrity}} {
		over, err := pipe.Acknowledged(from(data), &wire.Ack{Bytes: 1000, Final: true, Digest: &c.digest})
		xtest.WantCode(t, "sender", err, c.want)
		if over != c.over {
			t.Errorf("with digest %s: over is %t, want %t", c.digest, over, c.over)
		}
	}
}
