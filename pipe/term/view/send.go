package view

import (
	"context"
	"io"
	"sync"

	"mesh/proto"
	"mesh/proto/wire"
)

// Bounds of the keys that wait to be sent. While the link is broken the bound is small:
// keys that a person types without seeing their effect are better not typed at all.
const (
	maxWaiting       = 64 << 10
	maxWaitingBroken = 256
)

// sender sends the viewer's frames, so that no other goroutine waits for the link.
type sender struct {
	to   io.Writer
	wake chan struct{} // has a value while there may be something to send; never closed
	room chan struct{} // gets a value when keys were sent; never closed

	mu       sync.Mutex
	frames   []byte           // whole ones, sent first
	size     *wire.TermResize // the newest size, sent after them; nil for none
	keys     []byte
	sentKeys int64 // bytes of keys that were sent
	broken   bool
	finished bool
	ack      int64
	acked    int64
}

func newSender(to io.Writer) *sender {
	return &sender{to: to, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), acked: -1, ack: -1}
}

// run sends until a write fails, ctx ends, or everything is sent after finish.
func (s *sender) run(ctx context.Context) error {
	for {
		frames, keys, last := s.nextFrames()
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
			s.sentKeys += int64(keys)
			s.mu.Unlock()
			signal(s.room)
		}
	}
}

// nextFrames returns the next frames, how many bytes of keys they have, and whether
// they are the last.
func (s *sender) nextFrames() (frames []byte, keys int, last bool) {
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

// finish makes run return once everything is sent.
func (s *sender) finish() {
	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	signal(s.wake)
}

// send queues a message.
func (s *sender) send(m wire.Message) {
	s.mu.Lock()
	s.frames = wire.AppendFrame(s.frames, m)
	s.mu.Unlock()
	signal(s.wake)
}

// sendSize queues a size in place of one that still waits: otherwise a sharer that
// changes the rights again and again, and reads nothing, would fill the memory.
func (s *sender) sendSize(m *wire.TermResize) {
	s.mu.Lock()
	s.size = m
	s.mu.Unlock()
	signal(s.wake)
}

// acknowledge acknowledges all output before seq.
func (s *sender) acknowledge(seq int64) {
	s.mu.Lock()
	s.ack = max(s.ack, seq)
	s.mu.Unlock()
	signal(s.wake)
}

// queueKeys queues keys, and reports whether there was room for them.
func (s *sender) queueKeys(keys []byte) bool {
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

// keyCounts returns how many bytes of keys wait, and how many were sent.
func (s *sender) keyCounts() (waiting int, sent int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys), s.sentKeys
}

// setBroken sets whether the link is broken. Then keys are not sent.
func (s *sender) setBroken(broken bool) {
	s.mu.Lock()
	s.broken = broken
	s.mu.Unlock()
	signal(s.wake)
}

// dropKeys drops the keys that wait, and returns how many bytes they had.
func (s *sender) dropKeys() int {
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
