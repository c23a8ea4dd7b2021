package broker

import (
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// queue holds the requests above a listener's rate, in turn by dialer.
type queue struct {
	rate  bucket
	turn  []identity.ID
	of    map[identity.ID][]*session
	count int
}

// enqueue offers the request, now or in its turn.
func (b *Broker) enqueue(s *session, now time.Time) {
	q := b.queues[s.node]
	if q == nil {
		q = &queue{of: map[identity.ID][]*session{}}
		b.queues[s.node] = q
	}
	if q.count == 0 && q.rate.take(now, offerRate) {
		b.offer(s)
		return
	}
	if q.count >= MaxWaiting {
		b.endDeclined(s, hub.CodeBusy)
		return
	}
	d := s.dialer.node
	if len(q.of[d]) == 0 {
		q.turn = append(q.turn, d)
	}
	q.of[d] = append(q.of[d], s)
	q.count++
	s.waits = true
}

// serveQueue offers what waits for a listener, as far as its rate allows.
func (b *Broker) serveQueue(node identity.ID, q *queue, now time.Time) {
	for q.count > 0 {
		d := q.turn[0]
		s := q.of[d][0]
		live := b.sessions[s.request.Session] == s
		if live && !q.rate.take(now, offerRate) {
			return
		}
		q.turn = q.turn[1:]
		q.count--
		if q.of[d] = q.of[d][1:]; len(q.of[d]) > 0 {
			q.turn = append(q.turn, d)
		} else {
			delete(q.of, d)
		}
		if s.waits = false; live {
			b.offer(s)
		}
	}
	if q.rate.leak(now, offerRate); q.rate.used == 0 {
		delete(b.queues, node)
	}
}
