package tcp

import (
	"context"
	"errors"
	"os"
	"time"

	"mesh/proto"
)

// CloseTimeout is how long [Conn.Close] blocks at most.
const CloseTimeout = time.Second

// Close sends the code, which is at least 0x100, after everything that was
// written before, and closes the connection. Reads and writes fail with err from
// then on. Close blocks until the peer's host has received everything, for
// [CloseTimeout] at most.
func (c *Conn) Close(code uint64, err error) {
	if _, first := <-c.closing; !first {
		return
	}
	defer close(c.closing)
	defer c.socket.Close()
	canSend := c.canSendCode()
	c.cancel(err)
	deadline := time.Now().Add(CloseTimeout)
	if !canSend || c.socket.SetReadDeadline(past) != nil || c.socket.SetWriteDeadline(deadline) != nil {
		return
	}
	<-c.writeTurn
	c.ended = true
	sendErr := c.sendCode(uint32(code))
	c.endTurn()
	if sendErr == nil && !c.peerEnded.Load() {
		c.socket.linger(deadline)
	}
}

// canSendCode reports whether the connection can still carry a close code. It can
// if it has not ended, or if it ended because the peer sent a malformed block or
// because the deadline of a read passed; after a write that failed the socket takes no more.
func (c *Conn) canSendCode() bool {
	why := context.Cause(c.ctx)
	return why == nil || errors.Is(why, ErrBlock) || errors.Is(why, os.ErrDeadlineExceeded)
}

// abortTime bounds the wait for room in the kernel's send buffer.
const abortTime = 10 * time.Millisecond

// Abort ends the connection at once and drops the data that the kernel has not
// sent. It sends [proto.CodeBroken] if there is room for it: then the peer knows
// that this process is alive. Reads and writes fail with err from then on.
func (c *Conn) Abort(err error) {
	if _, first := <-c.closing; !first {
		return
	}
	defer close(c.closing)
	c.cancel(err)
	_ = c.socket.SetWriteDeadline(time.Now().Add(abortTime))
	select {
	case <-c.writeTurn:
		c.ended = true
		_ = c.sendCode(proto.CodeBroken)
		c.endTurn()
	default: // a write is blocked by the peer: no room for a code
	}
	if s, ok := c.socket.Conn.(interface{ SetLinger(int) error }); ok {
		_ = s.SetLinger(0) // SO_LINGER: close with RST, or the kernel would go on sending
	}
	c.socket.Close()
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)
