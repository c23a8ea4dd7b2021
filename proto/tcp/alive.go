package tcp

import (
	"time"

	"mesh/proto"
)

// maxQuiet is the longest pause that a live peer makes between two keep-alives.
const maxQuiet = 2 * proto.KeepAlive

// sendKeepAlives sends a keep-alive whenever nothing else was sent for
// [proto.KeepAlive]. A keep-alive blocks while the peer's receive window is
// closed.
func (c *Conn) sendKeepAlives() {
	tick := time.NewTicker(proto.KeepAlive)
	defer tick.Stop()
	sent := c.written.Load()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		if n := c.written.Load(); n != sent {
			sent = n
			continue
		}
		select {
		case <-c.writeTurn:
			c.sendKeepAlive()
			sent = c.written.Load()
			c.writeTurn <- struct{}{}
		default: // a write is in progress, or blocked by the peer
		}
	}
}

// sendKeepAlive sends one, unless this side of the stream has ended. The caller
// has the writeTurn.
func (c *Conn) sendKeepAlive() {
	if c.ended {
		return
	}
	err := c.sendCode(codeAlive)
	if err != nil && !c.reading.Load() { // a reader meets the end too, and learns more about it
		_ = c.fail(err)
	}
}

// watchIdle ends the connection when nothing comes from the peer for
// [proto.IdleTimeout]. The time during which no goroutine reads does not count.
func (c *Conn) watchIdle() {
	tick := time.NewTicker(proto.KeepAlive)
	defer tick.Stop()
	heard, since := c.Heard(), time.Now()
	for {
		select {
		case <-c.ctx.Done():
			return
		case now := <-tick.C:
			if n := c.Heard(); n != heard || !c.reading.Load() {
				heard, since = n, now
			} else if now.Sub(since) >= proto.IdleTimeout {
				c.Abort(ErrIdle)
				return
			}
		}
	}
}
