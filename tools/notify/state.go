package notify

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ChannelState is how a channel does, as far as the state folder knows.
type ChannelState struct {
	Channel string    `json:"channel"`
	Waiting int       `json:"waiting"`         // messages
	Since   time.Time `json:"since,omitzero"`  // the oldest of them
	Sent    time.Time `json:"sent,omitzero"`   // the last message that got through
	Failed  time.Time `json:"failed,omitzero"` // the last attempt, if it failed
	Error   string    `json:"error,omitempty"` // of that attempt
}

// States returns the states of those channels, of [Kinds], with which something has
// happened, in the order of Kinds.
func States(folder string) (list []ChannelState) {
	s := spool{filepath.Join(folder, Folder)}
	names, _ := s.names()
	attempts := s.readState().Attempts
	for _, kind := range Kinds {
		a, known := attempts[kind]
		c := ChannelState{Channel: kind, Sent: a.Sent, Failed: a.Failed, Error: a.Error}
		for _, name := range names {
			if channelOf(name) == kind {
				c.Waiting++
				if t := beganAt(name); c.Since.IsZero() || t.Before(c.Since) {
					c.Since = t
				}
			}
		}
		if known || c.Waiting > 0 {
			list = append(list, c)
		}
	}
	return list
}

// beganAt returns the time in the name of an item's file.
func beganAt(name string) time.Time {
	digits, _, _ := strings.Cut(timeOf(name), "-")
	nanoseconds, _ := strconv.ParseInt(digits, 10, 64) // 1970 for a name that nobody gave
	return time.Unix(0, nanoseconds).UTC()
}

// maxErrorBytes bounds the error of an attempt that is kept.
const maxErrorBytes = 200

// noteAttempt keeps what came of an attempt, for [States]. Nothing else needs it.
func (s spool) noteAttempt(channel string, err error) {
	if !slices.Contains(Kinds, channel) {
		return
	}
	now := time.Now().UTC().Truncate(time.Second)
	_ = s.editState(func(st *state) {
		a := outcome{Sent: now}
		if err != nil {
			a = outcome{Sent: st.Attempts[channel].Sent, Failed: now, Error: cut(shown(err.Error()), maxErrorBytes)}
		}
		st.Attempts[channel] = a
	})
}
