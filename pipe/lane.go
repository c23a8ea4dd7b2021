package pipe

import "slices"

// lane is what one link carries of a transfer that we send. It belongs to the
// transfer's [outgoing], under its lock.
type lane struct {
	primary bool   // carries all, and not only whole blocks
	busy    span   // being written to the link
	sent    []span // written, and not all of it acknowledged; in order
	meta    bool   // FILE_META was written
	done    bool   // FILE_DONE was
	lost    error  // the link is no more
	scratch []byte // for what is read back from a spool
}

// span is the bytes from, to before to, of a transfer.
type span struct{ from, to int64 }

// written takes note that the link has taken what was busy, and forgets what is
// acknowledged.
func (l *lane) written(acked int64) {
	if n := len(l.sent); n > 0 && l.sent[n-1].to == l.busy.from {
		l.sent[n-1].to = l.busy.to
	} else {
		l.sent = append(l.sent, l.busy)
	}
	l.busy = span{}
	l.sent = beyond(l.sent, acked)
}

// beyond returns what of the spans, which are in order, lies behind acked.
func beyond(spans []span, acked int64) []span {
	for len(spans) > 0 && spans[0].to <= acked {
		spans = spans[1:]
	}
	if len(spans) > 0 {
		spans[0].from = max(spans[0].from, acked)
	}
	return spans
}

// again returns todo with what the lane has carried for nothing.
func (l *lane) again(todo []span, acked int64) []span {
	todo = append(todo, l.sent...)
	if l.busy.to > l.busy.from {
		todo = append(todo, l.busy)
	}
	slices.SortFunc(todo, func(a, b span) int { return int(a.from - b.from) })
	return beyond(todo, acked)
}
