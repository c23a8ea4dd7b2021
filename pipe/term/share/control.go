package share

import "time"

// Kick disconnects all viewers of a viewer's node, which may not come back to this
// session.
func (s *Session) Kick(number int) error {
	kicked, err := s.viewers.ban(number)
	for _, v := range kicked {
		s.arbiter.leave(v.typist)
		s.o.Audit.write(v.audited("kick"))
		v.fail(errSentAway)
	}
	return err
}

// Grant gives a viewer's node the right to type, for this session, whatever its token
// allows.
func (s *Session) Grant(number int) error {
	v, err := s.viewers.grant(number)
	if err != nil {
		return err
	}
	s.o.Audit.write(v.audited("grant"))
	s.statusChanged()
	return nil
}

// Revoke takes the right to type from a viewer's node, for this session, and declines
// its request for it. Number 0 takes it from everybody, also from those who join later.
func (s *Session) Revoke(number int) error {
	v, muted, err := s.viewers.revoke(number)
	if err != nil {
		return err
	}
	for _, t := range muted {
		s.arbiter.dropInput(t)
	}
	e := audited{Event: "revoke"}
	if v != nil {
		e = v.audited("revoke")
	}
	s.o.Audit.write(e)
	s.statusChanged()
	return nil
}

// Info describes a viewer to the sharer.
type Info struct {
	Number   int       `json:"number"`
	Name     string    `json:"name"`
	PeerID   string    `json:"peer_id"`
	Addr     string    `json:"addr"`
	Rights   string    `json:"rights"`
	Asks     bool      `json:"asks,omitempty"` // for the right to type
	Mode     string    `json:"mode"`
	Cols     int       `json:"cols,omitempty"`
	Rows     int       `json:"rows,omitempty"`
	Joined   time.Time `json:"joined"`
	Typed    int64     `json:"typed"`   // bytes
	Behind   int64     `json:"behind"`  // bytes of output that it has not shown yet
	SinceAck float64   `json:"silence"` // seconds since it last showed more
}

// List returns the viewers in the order in which they joined.
func (s *Session) List() []Info {
	var list []Info
	for _, v := range s.viewers.all() {
		typed := v.typist.accepted()
		cols, rows := v.typist.ownSize()
		behind, heard := v.sub.progress()
		list = append(list, Info{
			Number: v.number, Name: v.label, PeerID: v.who.ID, Addr: v.who.Addr,
			Rights: v.rights().String(), Asks: s.viewers.isAsking(v), Mode: v.open.Mode,
			Cols: cols, Rows: rows, Joined: v.joined,
			Typed: typed, Behind: behind, SinceAck: time.Since(heard).Seconds(),
		})
	}
	return list
}
