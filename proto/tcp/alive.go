package tcp

import (
	"time"

	"mesh/proto"
)

// maxQuiet is the longest pause that a live peer makes between two signs of life. An
// older peer sends a keep-alive up to twice [proto.KeepAlive] after its last data.
const maxQuiet = 2 * proto.KeepAlive

// sendKeepAlives sends a keep-alive when nothing else was sent for [proto.KeepAlive]. A
// keep-alive blocks while the peer's receive window is closed.
func (c *Conn) sendKeepAlives() {
	timer := time.NewTimer(proto.KeepAlive)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		}
		quiet := time.Since(c.begun) - time.Duration(c.flushed.Load())
		if quiet < proto.KeepAlive {
			timer.Reset(proto.KeepAlive - quiet)
			continue
		}
		timer.Reset(proto.KeepAlive)
		select {
		case <-c.writeTurn:
			c.sendKeepAlive()
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
