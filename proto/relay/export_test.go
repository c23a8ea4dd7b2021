package relay

import "time"

// The steps of [Permit.Sign] and [ParsePermit] beside the signature.
var (
	PermitParts  = parts
	DecodePermit = decode
	EncodePermit = Permit.encode
)

// Limits are those of a server that tests make smaller.
type Limits struct {
	Sessions, OfDialer, OfListener, Places, PlacesOfNode, HalfOpen, HalfOpenOfSource, SessionBurst, SourceBurst, Couples int
	DoorTimeout, Idle                                                                                                    time.Duration
}

// SetLimits changes the limits of s that are not 0. It is called before s serves.
func SetLimits(s *Server, l Limits) {
	for to, n := range map[*int]int{
		&s.limits.sessions: l.Sessions, &s.limits.ofDialer: l.OfDialer, &s.limits.ofListener: l.OfListener, &s.limits.places: l.Places,
		&s.limits.placesOfNode: l.PlacesOfNode, &s.limits.halfOpen: l.HalfOpen, &s.limits.halfOpenOfSource: l.HalfOpenOfSource,
		&s.limits.sessionBurst: l.SessionBurst, &s.limits.sourceBurst: l.SourceBurst, &s.limits.couples: l.Couples,
	} {
		if n != 0 {
			*to = n
		}
	}
	for to, d := range map[*time.Duration]time.Duration{&s.limits.doorTimeout: l.DoorTimeout, &s.limits.idle: l.Idle} {
		if d != 0 {
			*to = d
		}
	}
}

// HalfOpen returns how many connections are at the doors.
func HalfOpen(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halfOpen
}

// Remembered returns how many sources and sessions a server remembers.
func Remembered(s *Server) (sources, sessions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sources), len(s.sessions)
}

// Couples returns of how many couples a server counts the bytes.
func Couples(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.used)
}
