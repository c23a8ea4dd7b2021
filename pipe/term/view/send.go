package view

import (
	"context"
	"io"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// Bounds of the keys that wait to be sent. While the link is broken few do: what a
// person types without seeing what comes of it is better not typed at all.
const (
	maxWaiting       = 64 << 10
	maxWaitingBroken = 256
)

// sender sends the viewer's frames, so that nobody else waits for the link.
type sender struct {
	to   io.Writer
	wake chan struct{} // a value is there while there may be something to send; never closed
	room chan struct{} // a value is there after keys were sent; never closed

	mu       sync.Mutex
	frames   []byte           // whole ones, that come first
	size     *wire.TermResize // the newest, behind them; nil for none
	keys     []byte
	typed    int64 // bytes of keys that were sent
	broken   bool
	finished bool
	ack      int64
	acked    int64
}

func newSender(to io.Writer) *sender {
	return &sender{to: to, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), acked: -1, ack: -1}
}

// run sends until a write fails, the context ends, or after finish all is sent.
func (s *sender) run(ctx context.Context) error {
	for {
		frames, keys, last := s.take()
		if len(frames) == 0 {
			if last {
				return nil
			}
			select {
			case <-s.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if _, err := s.to.Write(frames); err != nil {
			return err
		}
		if keys > 0 {
			s.mu.Lock()
			s.typed += int64(keys)
			s.mu.Unlock()
			signal(s.room)
		}
	}
}

// take returns the next frames, how many bytes of keys they have, and whether they
// are the last.
func (s *sender) take() (frames []byte, keys int, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames = s.frames
	s.frames = nil
	if s.size != nil {
		frames = wire.AppendFrame(frames, s.size)
		s.size = nil
	}
	if len(s.keys) > 0 && !s.broken {
		keys = min(len(s.keys), proto.MaxTermInBytes)
		frames = wire.AppendTermIn(frames, s.keys[:keys])
		s.keys = s.keys[keys:]
	}
	if s.ack > s.acked {
		frames = wire.AppendFrame(frames, &wire.TermAck{Seq: s.ack})
		s.acked = s.ack
	}
	return frames, keys, s.finished
}

// finish says that nothing more is to be sent.
func (s *sender) finish() {
	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	signal(s.wake)
}

// message sends a message.
func (s *sender) message(m wire.Message) {
	s.mu.Lock()
	s.frames = wire.AppendFrame(s.frames, m)
	s.mu.Unlock()
	signal(s.wake)
}

// resize sends a size, and none before that waits still: a sharer may ask for one
// again and again, and not read it.
func (s *sender) resize(m *wire.TermResize) {
	s.mu.Lock()
	s.size = m
	s.mu.Unlock()
	signal(s.wake)
}

// shown acknowledges all output before seq.
func (s *sender) shown(seq int64) {
	s.mu.Lock()
	s.ack = max(s.ack, seq)
	s.mu.Unlock()
	signal(s.wake)
}

// typing sends keys, and reports whether there was room for them.
func (s *sender) typing(keys []byte) bool {
	s.mu.Lock()
	limit := maxWaiting
	if s.broken {
		limit = maxWaitingBroken
	}
	fits := len(s.keys)+len(keys) <= limit
	if fits {
		s.keys = append(s.keys, keys...)
	}
	s.mu.Unlock()
	signal(s.wake)
	return fits
}

// waiting is how many bytes of keys are not sent yet, sent how many are.
func (s *sender) waiting() (waiting int, sent int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys), s.typed
}

// hold holds keys back while the link is broken.
func (s *sender) hold(broken bool) {
	s.mu.Lock()
	s.broken = broken
	s.mu.Unlock()
	signal(s.wake)
}

// drop forgets keys that wait, and returns how many bytes they were.
func (s *sender) drop() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.keys)
	s.keys = nil
	return n
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
