package share

import (
	"mesh/proto"
	"mesh/proto/wire"
)

// mayType reports whether a viewer may type when it comes: its link allows it, or
// its node was granted it in this session, and it was not taken away since. It is
// called with mu held.
func (s *Session) mayType(who Visitor) bool {
	switch {
	case s.o.Input == nil:
		return false
	case s.granted[who.ID]:
		return true
	}
	return who.Caps.Has(proto.CapTTYControl) && !s.silent && !s.muted[who.ID]
}

// rights are what the viewer may do now.
func (v *viewer) rights() proto.Caps {
	if v.typist.muted.Load() {
		return proto.CapTTYView
	}
	return proto.CapTTYView | proto.CapTTYControl
}

// Grant gives a viewer's node the right to type, for this session, whatever its
// token allows.
func (s *Session) Grant(number int) error {
	s.mu.Lock()
	v := s.viewers[number]
	switch {
	case v == nil:
		s.mu.Unlock()
		return errNoViewer
	case s.o.Input == nil:
		s.mu.Unlock()
		return proto.Errorf(proto.Usage, "nobody can type into a stream")
	}
	s.granted[v.who.ID] = true
	delete(s.muted, v.who.ID)
	for _, other := range s.viewers {
		if other.who.ID == v.who.ID && other.typist.muted.Load() {
			other.allowed, other.asks = true, false
			other.typist.muted.Store(false)
			other.notice = "you may type here now"
		}
	}
	s.mu.Unlock()
	s.o.Audit.write(v.audited("grant"))
	s.changed()
	return nil
}

// Revoke takes from a viewer's node the right to type, for this session, and
// refuses it to one that asks; 0 takes it from all, those to come too.
func (s *Session) Revoke(number int) error {
	s.mu.Lock()
	v := s.viewers[number]
	switch {
	case number == 0:
		s.silent = true
		clear(s.granted)
	case v == nil:
		s.mu.Unlock()
		return errNoViewer
	default:
		s.muted[v.who.ID] = true
		delete(s.granted, v.who.ID)
	}
	var silenced []*typist
	for _, other := range s.viewers {
		if v != nil && other.who.ID != v.who.ID {
			continue
		}
		switch {
		case !other.typist.muted.Load():
			other.typist.muted.Store(true)
			silenced = append(silenced, other.typist)
			other.notice = "you may not type here any more"
		case other.asks:
			other.notice = "the sharer does not let you type"
		}
		other.asks = false
	}
	s.mu.Unlock()
	for _, t := range silenced {
		s.arbiter.silence(t)
	}
	e := audited{Event: "revoke"}
	if v != nil {
		e = v.audited("revoke")
	}
	s.o.Audit.write(e)
	s.changed()
	return nil
}

// asked takes a viewer's request for the right to type. One that is not answered
// yet is not made twice.
func (v *viewer) asked(m *wire.TermCtl) error {
	if !m.Ask || m.Viewers != 0 || m.Rights != "" || len(m.Writers) != 0 || m.Paused || m.Notice != "" || m.Typed != 0 || m.Seq != 0 {
		return proto.Errorf(proto.Protocol, "%s of a viewer asks for nothing", wire.TypeTermCtl)
	}
	s := v.session
	s.mu.Lock()
	isNew := !v.asks && v.typist.muted.Load()
	if isNew && s.o.Input == nil {
		isNew = false
		v.notice, v.news = "nobody can type here", true
		v.wake()
	}
	v.asks = v.asks || isNew
	s.mu.Unlock()
	if isNew {
		s.o.Audit.write(v.audited("ask"))
		s.changed()
	}
	return nil
}
