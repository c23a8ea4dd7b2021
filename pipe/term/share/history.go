package share

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// maxEvents bounds the events that a history holds: a terminal whose size
// changes all the time prints nothing that would make it forget them.
const maxEvents = 1024

// history is what came of a terminal lately, in one order: output, of which the
// newest bytes are held, and events between two bytes of it. It is not safe for
// concurrent use.
type history struct {
	ring  []byte
	start int64 // offset in all output of the oldest byte that is held
	end   int64 // behind the newest

	events []event
	first  int64 // number of events[0]; they are counted from 0
}

// event is a TERM_RESIZE or a TERM_MARK.
type event struct {
	seq int64
	msg wire.Message
}

// place is where a viewer is in a history: all output before seq and all events
// before number event were sent to it.
type place struct {
	seq   int64
	event int64
}

// behind reports whether a place is behind another one.
func (p place) behind(other place) bool {
	return p != other && p.seq >= other.seq && p.event >= other.event
}

func newHistory(bytes int) *history { return &history{ring: make([]byte, bytes)} }

// append adds output.
func (h *history) append(p []byte) {
	h.end += int64(len(p))
	if over := len(p) - len(h.ring); over > 0 {
		p = p[over:]
	}
	at := int((h.end - int64(len(p))) % int64(len(h.ring)))
	n := copy(h.ring[at:], p)
	copy(h.ring, p[n:])
	h.start = max(h.start, h.end-int64(len(h.ring)))
	for len(h.events) > 0 && h.events[0].seq < h.start {
		h.forget()
	}
}

// add adds an event behind all output so far.
func (h *history) add(msg wire.Message) {
	if len(h.events) == maxEvents {
		h.forget()
	}
	h.events = append(h.events, event{h.end, msg})
}

func (h *history) forget() {
	h.events = h.events[1:]
	h.first++
}

// clear forgets all output and events, so that nobody gets them any more.
func (h *history) clear() {
	h.start = h.end
	h.first += int64(len(h.events))
	h.events = nil
}

// newest is the place where nothing is left to be sent.
func (h *history) newest() place { return place{h.end, h.first + int64(len(h.events))} }

// oldest is the place from where on all is held.
func (h *history) oldest() place { return place{h.start, h.first} }

// holds reports whether all that is behind a place is still held.
func (h *history) holds(p place) bool { return p.seq >= h.start && p.event >= h.first }

// next returns what follows a place that is held: an event, or output, up to n
// bytes of it appended to dst. With neither there is nothing behind it.
func (h *history) next(p place, dst []byte, n int) (wire.Message, []byte) {
	end := min(h.end, p.seq+int64(n))
	if i := p.event - h.first; i < int64(len(h.events)) {
		if e := h.events[i]; e.seq <= p.seq {
			return e.msg, dst
		} else {
			end = min(end, e.seq)
		}
	}
	for at := p.seq; at < end; {
		i := int(at % int64(len(h.ring)))
		part := h.ring[i:min(int64(len(h.ring)), int64(i)+end-at)]
		dst = append(dst, part...)
		at += int64(len(part))
	}
	return nil, dst
}

// maxHistory and minHistory bound the bytes that a history may hold.
const (
	minHistory = 2 * proto.MaxTermOutBytes
	maxHistory = 1 << 30
)
