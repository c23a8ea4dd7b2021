package view

import (
	"cmp"
	"context"
	"io"
	"time"

	"mesh/proto"
	"mesh/proto/wire"
)

// When piped input has ended, and no output arrives for this long, its echo counts as
// over: settleTime if the sharer has confirmed that the terminal accepted all of it,
// settleUnsureTime if not.
const (
	settleTime       = 300 * time.Millisecond
	settleUnsureTime = 5 * time.Second
)

// input is what is typed, or piped in. One goroutine reads it; all else is used by
// another one alone.
type input struct {
	sender   *sender
	read     chan []byte // the reading goroutine sends, and closes it at the end
	unsent   []byte      // read, but there was no room to send it
	ended    bool
	accepted int64         // bytes that the shared terminal has accepted
	asksIdle bool          // wait for TERM_IDLE, too
	idle     wire.TermIdle // the last one
	pos      int64         // all output before it was handled
	settle   *time.Timer
	linger   time.Duration // for Options.Linger
	toEnd    bool          // the end of the input ends nothing
}

func newInput(s *sender, o Options, asksIdle bool) *input {
	i := &input{sender: s, asksIdle: asksIdle, idle: wire.TermIdle{Typed: -1}, settle: time.NewTimer(time.Hour), linger: cmp.Or(o.Linger, settleTime), toEnd: o.ToEnd}
	i.settle.Stop()
	return i
}

// start begins to read. The goroutine may stay in a read until the process ends.
func (i *input) start(ctx context.Context, r io.Reader) {
	read := make(chan []byte)
	i.read = read
	go func() {
		defer close(read)
		for {
			b := make([]byte, proto.MaxTermInBytes)
			n, err := r.Read(b)
			if n > 0 {
				select {
				case read <- b[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
}

// chunks returns the channel of input, or nil while there is no room for more.
func (i *input) chunks() <-chan []byte {
	if i.ended || i.unsent != nil {
		return nil
	}
	return i.read
}

// sendChunk sends a chunk of piped input; ok is false at its end.
func (i *input) sendChunk(chunk []byte, ok bool) {
	i.ended = !ok
	if ok && !i.sender.queueKeys(chunk) {
		i.unsent = chunk
	}
	i.restartSettle()
}

// retry sends the chunk for which there was no room.
func (i *input) retry() {
	if i.unsent != nil && i.sender.queueKeys(i.unsent) {
		i.unsent = nil
	}
	i.restartSettle()
}

// setAccepted sets how many bytes the shared terminal has accepted.
func (i *input) setAccepted(n int64) {
	i.accepted = max(i.accepted, n)
	i.sender.confirm(n)
	i.restartSettle()
}

// setIdle takes a TERM_IDLE. One that tells nothing new does not restart the wait.
func (i *input) setIdle(m *wire.TermIdle) {
	if m.Typed > i.idle.Typed {
		i.idle = *m
		i.restartSettle()
	}
}

// setPos notes that all output before seq was handled.
func (i *input) setPos(seq int64) {
	i.pos = seq
	i.restartSettle()
}

// restartSettle restarts the wait for the end of the echo: something has changed.
func (i *input) restartSettle() {
	if !i.ended || i.toEnd {
		return
	}
	waiting, sent := i.sender.keyCounts()
	switch {
	case waiting > 0 || i.accepted < sent:
		i.settle.Reset(max(i.linger, settleUnsureTime))
	case i.asksIdle && (i.idle.Typed < sent || i.idle.Seq > i.pos):
		i.settle.Stop() // a program runs, which may be silent for any time
	default:
		i.settle.Reset(i.linger)
	}
}

// unconfirmed returns an error if the shared terminal may not have accepted all input.
func (i *input) unconfirmed() error {
	waiting, sent := i.sender.keyCounts()
	if i.unsent == nil && waiting == 0 && i.accepted >= sent {
		return nil
	}
	return proto.Errorf(proto.Truncated, "the shared terminal has accepted %d bytes of the input, not all", i.accepted)
}

// settled returns a channel that fires when the echo of all input is over.
func (i *input) settled() <-chan time.Time { return i.settle.C }
