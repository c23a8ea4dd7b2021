package notify

import (
	"fmt"
	"time"
)

// The messages that one peer may cause, and how many peers are counted: more than that
// share one count.
const (
	peerMessages = 20
	peerWindow   = time.Hour
	maxPeers     = 1000
)

// limiter counts the messages that each peer has caused.
type limiter map[string]*window

// window is one hour of one peer.
type window struct {
	begun      time.Time
	label      string
	told, more int
}

// allow counts a message, and reports whether it may be sent.
func (l limiter) allow(peer, label string, now time.Time) bool {
	w := l[peer]
	if w == nil && len(l) >= maxPeers {
		peer, label = "", "other peers"
		w = l[peer]
	}
	if w == nil || w.over(now) && w.more == 0 {
		w = &window{begun: now, label: label}
		l[peer] = w
	}
	if w.told < peerMessages {
		w.told++
		return true
	}
	w.more++
	return false
}

// over reports whether the hour is over. A clock that was set back ends it.
func (w *window) over(now time.Time) bool {
	age := now.Sub(w.begun)
	return age >= peerWindow || age < 0
}

// ended forgets the hours that are over, and returns a message for each with messages
// that were not sent.
func (l limiter) ended(now time.Time) (counts []Message) {
	for peer, w := range l {
		if !w.over(now) {
			continue
		}
		delete(l, peer)
		if w.more > 0 {
			says := fmt.Sprintf("%s caused %d messages within an hour; %d more were not sent", w.label, w.told, w.more)
			words := fmt.Sprintf("%d more of %s", w.more, w.label)
			counts = append(counts, Message{Event: EventMore, Kind: More, Count: w.more, Words: words, Says: says, NamelessWords: words, NamelessSays: says})
		}
	}
	return counts
}
