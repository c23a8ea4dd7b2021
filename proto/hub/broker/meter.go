package broker

import (
	"errors"
	"slices"
	"time"

	"mesh/proto/hub"
)

// Meter counts what happens at a hub. Its methods neither block nor call the Broker, which
// may hold its lock. A word is one of a fixed few: never a name, an id, or anything else
// that a client chooses.
type Meter interface {
	// Count counts an occurrence, for example a login with the result "ok".
	Count(what, word string)
	// Took notes how long something took.
	Took(what string, d time.Duration)
}

// What a [Meter] is told, and what its words mean.
const (
	CountLogins      = "logins"       // by result
	CountEvents      = "events"       // of clients, by type
	CountErrors      = "errors"       // in answers, by code
	CountSessions    = "sessions"     // by result
	CountCodes       = "codes"        // by what became of them
	CountRateLimited = "rate_limited" // by what was too frequent
	CountPaths       = "path"         // of links that sessions brought, by kind
	TookSession      = "session"      // from request to created
	TookCommit       = "store_commit"
)

func (b *Broker) count(what, word string) {
	if b.o.Meter != nil {
		b.o.Meter.Count(what, word)
	}
}

func (b *Broker) took(what string, d time.Duration) {
	if b.o.Meter != nil {
		b.o.Meter.Took(what, d)
	}
}

// other stands for all words that a client has made up.
const other = "other"

// clientTypes are the events that clients send.
var clientTypes = []string{
	hub.TypeRegister, hub.TypeRelease, hub.TypeLookup, hub.TypeWatch, hub.TypeToken,
	hub.TypeRoomJoin, hub.TypeRoomLeave, hub.TypeRoomPeers,
	hub.TypeRequest, hub.TypePending, hub.TypeAccept, hub.TypeDecline, hub.TypeCancel, hub.TypeCandidates, hub.TypeClosed,
	hub.TypeCodeOpen, hub.TypeCodeClaim, hub.TypeCodeConfirm, hub.TypeCodeDone, hub.TypeCodeBurn,
}

// pathKinds are the kinds of paths that the ends of a session report.
var pathKinds = []string{"lan", "direct", "punched", "mapped", "tunnel", "relay"}

// wordOf returns a word that a client has sent if it is one of the known ones.
func wordOf(known []string, word string) string {
	if slices.Contains(known, word) {
		return word
	}
	return other
}

// limitOf names the rate to which an event belongs.
func limitOf(typ string) string {
	switch typ {
	case hub.TypeLookup, hub.TypeRoomPeers:
		return "lookups"
	case hub.TypeRequest:
		return "requests"
	case hub.TypeCodeOpen:
		return "codes"
	case hub.TypeCodeClaim:
		return "claims"
	}
	return "events"
}

// countError counts an answer that is an error. Over is whether the client sends too many
// events of any kind.
func (b *Broker) countError(to, answer hub.Event, over bool) {
	var d hub.Error
	if b.o.Meter == nil || answer.Type != hub.TypeError || answer.Read(&d) != nil {
		return
	}
	b.count(CountErrors, d.Code)
	switch {
	case d.Code != hub.CodeRateLimited:
	case over:
		b.count(CountRateLimited, "events")
	default:
		b.count(CountRateLimited, limitOf(to.Type))
	}
}

// countLogin counts a login by its outcome.
func (b *Broker) countLogin(err error) {
	word := "ok"
	if d, ok := errors.AsType[*Denied](err); ok {
		switch d.Code {
		case hub.CloseBadLogin:
			word = "bad_login"
		case hub.CloseNoMember:
			word = "not_member"
		case hub.CloseFull:
			word = "full"
		default:
			word = other
		}
	}
	b.count(CountLogins, word)
}
