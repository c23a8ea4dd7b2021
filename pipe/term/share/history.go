package share

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// maxEvents bounds the events that a history holds. A terminal whose size changes all
// the time may print nothing, which would push the events out.
const maxEvents = 1024

// history holds the newest output of a terminal, and the events between two bytes of
// it, in their order. It is not safe for concurrent use.
type history struct {
	ring  []byte
	start int64 // offset in all output of the oldest byte held
	end   int64 // offset after the newest byte

	events []event
	first  int64 // number of events[0], counted from 0
}

// event is a TERM_RESIZE or a TERM_MARK.
type event struct {
	seq int64
	msg wire.Message
}

// place is a position in a history: after all output before seq, and all events
// before number event.
type place struct {
	seq   int64
	event int64
}

// isAfter reports whether p is after another place.
func (p place) isAfter(other place) bool {
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
		h.dropEvent()
	}
}

// addEvent adds an event after all output so far.
func (h *history) addEvent(msg wire.Message) {
	if len(h.events) == maxEvents {
		h.dropEvent()
	}
	h.events = append(h.events, event{h.end, msg})
}

func (h *history) dropEvent() {
	h.events = h.events[1:]
	h.first++
}

// clear drops all output and events.
func (h *history) clear() {
	h.start = h.end
	h.first += int64(len(h.events))
	h.events = nil
}

// newest returns the place after everything.
func (h *history) newest() place { return place{h.end, h.first + int64(len(h.events))} }

// oldest returns the first place from which everything is held.
func (h *history) oldest() place { return place{h.start, h.first} }

// holds reports whether everything after a place is still held.
func (h *history) holds(p place) bool { return p.seq >= h.start && p.event >= h.first }

// next returns what follows a place that is held: an event, or up to n bytes of
// output, appended to dst. If there is neither, p is the newest place.
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
