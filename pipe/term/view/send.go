package view

import (
	"context"
	"io"
	"sync"
	"time"

	"mesh/pipe/term/keys"
	"mesh/proto"
	"mesh/proto/wire"
)

// Bounds of the keys that wait to be sent: of piped input, and of a keyboard, which is
// read all the time, so that commands are found behind a paste. While the link is broken
// few more wait: keys that a person types without seeing their effect are better not
// typed at all.
const (
	maxPiped         = 64 << 10
	maxWaiting       = 8 << 20
	maxWaitingBroken = 256
)

const (
	// maxUnconfirmed is how many bytes of a keyboard are sent before the sharer confirms
	// that the shared terminal has accepted them. The rest waits here, where Ctrl-C drops
	// it. An older sharer does not confirm what it drops: so after stallTime, and then
	// after twice that and so on, that many more are sent.
	maxUnconfirmed = 128 << 10
	stallTime      = 500 * time.Millisecond
	maxStallTime   = 16 * time.Second
	// floodBytes is how many bytes must wait for Ctrl-C to drop them. What a person has
	// just typed is less.
	floodBytes = 4 << 10
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
	keyboard bool        // the keys are a person's
	queuedBy keys.Filter // follows the keys up to the last one that waits
	sentBy   keys.Filter // follows the keys up to the last one that was sent
	sentKeys int64       // bytes of keys that were sent
	credit   int64       // of a keyboard: how many may have been sent
	stall    time.Duration
	stalled  time.Time // since when keys wait for a confirmation; zero if none do
	broken   bool
	mayWait  int // bytes of keys that may wait while it is
	finished bool
	ack      int64
	acked    int64
}

func newSender(to io.Writer, keyboard bool) *sender {
	return &sender{
		to: to, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), acked: -1, ack: -1,
		keyboard: keyboard, credit: maxUnconfirmed, stall: stallTime,
	}
}

// run sends until a write fails, ctx ends, or everything is sent after finish.
func (s *sender) run(ctx context.Context) error {
	stalled := stoppedTimer()
	defer stalled.Stop()
	for {
		frames, typed, last := s.nextFrames()
		if len(frames) == 0 {
			if last {
				return nil
			}
			if wait := s.stallWait(); wait > 0 {
				stalled.Reset(wait)
			}
			select {
			case <-s.wake:
			case <-stalled.C:
				s.grantMore()
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if _, err := s.to.Write(frames); err != nil {
			return err
		}
		if typed > 0 {
			s.mu.Lock()
			s.sentKeys += int64(typed)
			s.mu.Unlock()
			signal(s.room)
		}
	}
}

// nextFrames returns the next frames, how many bytes of keys they have, and whether
// they are the last.
func (s *sender) nextFrames() (frames []byte, typed int, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames = s.frames
	s.frames = nil
	if s.size != nil {
		frames = wire.AppendFrame(frames, s.size)
		s.size = nil
	}
	if typed = s.sendableKeys(); typed > 0 {
		frames = wire.AppendTermIn(frames, s.keys[:typed])
		s.sentBy.Pass(s.keys[:typed])
		s.keys = s.keys[typed:]
	}
	if s.ack > s.acked {
		frames = wire.AppendFrame(frames, &wire.TermAck{Seq: s.ack})
		s.acked = s.ack
	}
	return frames, typed, s.finished
}

// sendableKeys returns how many bytes of keys may be sent now. It is called with mu held.
func (s *sender) sendableKeys() int {
	n := min(len(s.keys), proto.MaxTermInBytes)
	if s.broken {
		return 0
	}
	if s.keyboard && !s.finished && s.credit-s.sentKeys < int64(n) {
		return 0 // no part of a frame: the sharer takes a full one for a part of a paste
	}
	return n
}

// stallWait returns how long the confirmation is waited for that lets more keys be sent;
// 0 if none wait for it.
func (s *sender) stallWait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 || s.broken {
		s.stalled = time.Time{}
		return 0
	}
	now := time.Now()
	if s.stalled.IsZero() {
		s.stalled = now
	}
	return max(s.stall-now.Sub(s.stalled), time.Millisecond)
}

// grantMore lets more keys be sent, since no confirmation has come in time.
func (s *sender) grantMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit = s.sentKeys + maxUnconfirmed
	s.stall, s.stalled = min(2*s.stall, maxStallTime), time.Time{}
}

// confirm notes how many bytes of keys the shared terminal has accepted.
func (s *sender) confirm(n int64) {
	s.mu.Lock()
	if n+maxUnconfirmed > s.credit {
		s.credit, s.stall, s.stalled = n+maxUnconfirmed, stallTime, time.Time{}
	}
	s.mu.Unlock()
	signal(s.wake)
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
func (s *sender) queueKeys(typed []byte) bool {
	s.mu.Lock()
	limit := maxPiped
	switch {
	case s.broken:
		limit = s.mayWait
	case s.keyboard:
		limit = maxWaiting
	}
	fits := len(s.keys)+len(typed) <= limit
	if fits {
		s.keys = append(s.keys, typed...)
		s.queuedBy.Pass(typed)
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

// setBroken sets whether the link is broken. Then keys are not sent. A paste that has
// begun goes on.
func (s *sender) setBroken(broken, pasting bool) {
	s.mu.Lock()
	if broken && !s.broken {
		s.limitBroken()
		if pasting {
			s.mayWait = maxWaiting
		}
	}
	s.broken = broken
	s.mu.Unlock()
	signal(s.wake)
}

// endOfPaste limits what else may wait for a broken link, when a paste has ended.
func (s *sender) endOfPaste() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limitBroken()
}

// limitBroken is called with mu held.
func (s *sender) limitBroken() { s.mayWait = len(s.keys) + maxWaitingBroken }

// dropKeys drops the keys that wait, if there are more bytes than least, and returns how
// many there were. A paste of which a part was sent is ended.
func (s *sender) dropKeys(least int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.keys)
	if n <= least {
		return 0
	}
	s.keys = nil
	s.limitBroken()
	s.queuedBy = s.sentBy
	s.appendPasteEnd()
	return n
}

// endPaste ends the paste that the keys that wait end in, because the rest of it is
// dropped.
func (s *sender) endPaste() {
	s.mu.Lock()
	s.appendPasteEnd()
	s.mu.Unlock()
	signal(s.wake)
}

// appendPasteEnd is called with mu held.
func (s *sender) appendPasteEnd() {
	if s.queuedBy.Pasting() {
		s.keys = append(s.keys, keys.PasteEnd...)
		s.queuedBy.Pass([]byte(keys.PasteEnd))
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
