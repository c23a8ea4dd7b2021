package view

import (
	"context"
	"io"
	"time"

	"mesh/proto"
)

// How long nothing must come of piped input, when it has ended, until its echo is
// taken to be over: when the sharer has said that the terminal took all of it, and
// when it has not.
const (
	settleTime       = 300 * time.Millisecond
	settleUnsureTime = 5 * time.Second
)

// input is what is typed, or piped in. It is used by one goroutine, but for the one
// that reads.
type input struct {
	s      *sender
	read   chan []byte // the reading goroutine sends, and closes it at the end
	kept   []byte      // read, but there is no room to send it
	ended  bool
	taken  int64 // what the sharer's terminal has taken
	settle *time.Timer
}

func newInput(s *sender) *input {
	i := &input{s: s, settle: time.NewTimer(time.Hour)}
	i.settle.Stop()
	return i
}

// start begins to read. The goroutine may be left in a read to the process's end.
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

// chunks is where input comes from, while there is room for it.
func (i *input) chunks() <-chan []byte {
	if i.ended || i.kept != nil {
		return nil
	}
	return i.read
}

// take sends piped input; ok is false at its end.
func (i *input) take(chunk []byte, ok bool) {
	i.ended = !ok
	if ok && !i.s.typing(chunk) {
		i.kept = chunk
	}
	i.heard()
}

// retry sends what there was no room for.
func (i *input) retry() {
	if i.kept != nil && i.s.typing(i.kept) {
		i.kept = nil
	}
	i.heard()
}

// typed hears how much the sharer's terminal has taken.
func (i *input) typed(n int64) {
	i.taken = max(i.taken, n)
	i.heard()
}

// heard hears that something came of the input.
func (i *input) heard() {
	if !i.ended {
		return
	}
	waiting, sent := i.s.waiting()
	if waiting == 0 && i.taken >= sent {
		i.settle.Reset(settleTime)
	} else {
		i.settle.Reset(settleUnsureTime)
	}
}

// settled is when the echo of all input is over.
func (i *input) settled() <-chan time.Time { return i.settle.C }
