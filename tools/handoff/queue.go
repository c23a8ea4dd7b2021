package handoff

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
	"mesh/tools/node"
)

// answerTimeout limits how long a consumer may take to send what it wants, and later
// that it is ready.
const answerTimeout = 5 * time.Second

// maxConsumers limits the connections that wait.
const maxConsumers = 64

// Queue is the daemon's side: the consumers that wait, first come, first served. A nil
// Queue has none.
type Queue struct {
	listener net.Listener
	log      *slog.Logger
	wg       sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting []*Consumer // the first one has waited longest
	open    map[*conn]struct{}
}

// Open makes the socket. If another daemon answers there, the error has the code
// [proto.Busy]. A socket that nobody answers at is replaced.
func Open(path string, log *slog.Logger) (*Queue, error) {
	if c, err := local.Dial(context.Background(), path); err == nil {
		_ = c.Close()
		return nil, proto.Errorf(proto.Busy, "%s: another daemon listens there", path)
	}
	l, err := local.Listen(path)
	if err != nil {
		return nil, err
	}
	q := &Queue{listener: l, log: log, open: make(map[*conn]struct{})}
	q.wg.Go(q.accept)
	return q, nil
}

// Close removes the socket and disconnects the consumers that wait. Deliveries that
// are with a consumer go on. Close may be called more than once.
func (q *Queue) Close() {
	if q == nil {
		return
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.closed = true
	_ = q.listener.Close()
	for c := range q.open {
		_ = c.Close()
	}
	q.waiting = nil
	q.mu.Unlock()
	q.wg.Wait()
}

func (q *Queue) accept() {
	for {
		c, err := q.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // most likely no descriptors are left
			q.log.Warn("mesh-recv --next not accepted", "err", err)
			<-time.After(100 * time.Millisecond)
			continue
		}
		q.wg.Go(func() { q.admit(newConn(c)) })
	}
}

// admit puts a consumer into the queue, and returns when it is ready for a delivery, or
// gone.
func (q *Queue) admit(c *conn) {
	if !q.track(c) {
		return
	}
	defer q.untrack(c)
	_ = c.SetDeadline(time.Now().Add(answerTimeout))
	var w want
	if err := c.readMessage(typeWant, &w); err != nil {
		_ = c.Close()
		return
	}
	consumer := &Consumer{conn: c, kinds: w.Kinds, ready: make(chan struct{}), gone: make(chan struct{})}
	if !q.append(consumer) {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	typ, _, err := c.readFrame()
	if err == nil && typ == typeReady {
		close(consumer.ready)
		return
	}
	close(consumer.gone)
	q.mu.Lock()
	q.waiting = slices.DeleteFunc(q.waiting, func(o *Consumer) bool { return o == consumer })
	q.mu.Unlock()
	_ = c.Close()
}

// track adds a connection to those that Close closes. It closes the connection and
// returns false if there are too many.
func (q *Queue) track(c *conn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.open) == maxConsumers {
		_ = c.Close()
		return false
	}
	q.open[c] = struct{}{}
	return true
}

func (q *Queue) untrack(c *conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, c)
}

// append adds a consumer to the queue. It tells the consumer so under the lock, that
// is before any delivery.
func (q *Queue) append(c *Consumer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || c.writeFrame(typeWaiting, nil) != nil {
		return false
	}
	q.waiting = append(q.waiting, c)
	return true
}

// Accepts reports whether a consumer waits for a kind of transfer.
func (q *Queue) Accepts(kind string) bool {
	if q == nil {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.waiting, func(c *Consumer) bool { return slices.Contains(c.kinds, kind) })
}

// Assign gives a delivery, over a link of a minor version, to the consumer that has waited longest for its kind. It
// returns that consumer once it is ready, or nil if none waits.
func (q *Queue) Assign(ctx context.Context, kind string, minor int, party node.Party) *Consumer {
	for {
		c := q.pop(kind)
		if c == nil {
			return nil
		}
		_ = c.SetWriteDeadline(time.Now().Add(answerTimeout))
		if err := c.writeMessage(typeGive, give{kind, minor, party}); err == nil && c.waitReady(ctx) {
			_ = c.SetWriteDeadline(time.Time{})
			return c
		}
		_ = c.Close()
	}
}

// pop removes the first consumer for a kind from the queue, and returns it or nil.
func (q *Queue) pop(kind string) *Consumer {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting, func(c *Consumer) bool { return slices.Contains(c.kinds, kind) })
	if i < 0 {
		return nil
	}
	c := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return c
}
