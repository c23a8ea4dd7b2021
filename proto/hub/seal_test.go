package hub_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/xtest"
)

var meeting = hub.Meeting{NAT: "cone", Candidates: []hub.Candidate{{candidate.Host, candidate.UDP, "192.0.2.7:4600", 2130706431}}}

func TestGrant(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	for _, g := range []hub.Grant{
		{Token: "mesh1abc", Caps: "send", Via: "quic,tcp", Meeting: meeting},
		{Method: hub.MethodKey, Caps: "recv"},
	} {
		c, theirs := s.accept(t, g)
		got, ours, err := s.request.Open(s.seal, s.hub.ID(), s.dialer.ID(), s.listener.ID(), c)
		if err != nil || !reflect.DeepEqual(got, g) || !reflect.DeepEqual(ours, theirs) {
			t.Errorf("got %+v, %v, same keys %v; want %+v", got, err, reflect.DeepEqual(ours, theirs), g)
		}
		if strings.Contains(string(c.SessionToken), "mesh1") || strings.Contains(string(c.SessionToken), "192.0.2") {
			t.Error("the hub can read the grant")
		}
	}
}

// Nothing but the listener's own answer to this very request is taken.
func TestForgedAnswer(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	good, _ := s.accept(t, hub.Grant{Token: "mesh1abc"})
	evil := xtest.NewKey(t)
	for _, tt := range []struct {
		what string
		make func() *hub.Created
		want proto.Code
	}{
		{"sealed by the hub", func() *hub.Created {
			a, _, _ := s.request.Accept(evil, s.hub.ID(), s.dialer.ID(), hub.Grant{Token: "mesh1evil"})
			return &hub.Created{Session: a.Session, SessionToken: a.Sealed, Sig: a.Sig}
		}, proto.Identity},
		{"changed", func() *hub.Created { c := *good; c.SessionToken = flip(c.SessionToken); return &c }, proto.Identity},
		{"another session", func() *hub.Created { c := *good; c.Session = hub.NewID(); return &c }, proto.Identity},
		{"no signature", func() *hub.Created { c := *good; c.Sig = nil; return &c }, proto.Identity},
		{"for another dialer", func() *hub.Created {
			a, _, _ := s.request.Accept(s.listener, s.hub.ID(), evil.ID(), hub.Grant{Token: "mesh1abc"})
			return &hub.Created{Session: a.Session, SessionToken: a.Sealed, Sig: a.Sig}
		}, proto.Identity},
		{"to another request", func() *hub.Created {
			r := s.request
			r.Want = "send"
			r.Sign(s.dialer, s.hub.ID())
			a, _, _ := r.Accept(s.listener, s.hub.ID(), s.dialer.ID(), hub.Grant{Token: "mesh1abc"})
			return &hub.Created{Session: a.Session, SessionToken: a.Sealed, Sig: a.Sig}
		}, proto.Identity},
	} {
		_, _, err := s.request.Open(s.seal, s.hub.ID(), s.dialer.ID(), s.listener.ID(), tt.make())
		xtest.WantCode(t, tt.what, err, tt.want)
	}
	other, err := hub.NewSealKey()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.request.Open(other, s.hub.ID(), s.dialer.ID(), s.listener.ID(), good)
	xtest.WantCode(t, "another session key", err, proto.Protocol)
}

func TestMeeting(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	_, keys := s.accept(t, hub.Grant{Token: "mesh1abc"})
	if keys.Dialer == keys.Listener || keys.PunchDialer == keys.PunchListener || keys.Dialer == keys.PunchDialer {
		t.Error("two of the session's keys are the same")
	}
	c, err := keys.SealMeeting(hub.RoleDialer, 1, meeting)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.OpenMeeting(hub.RoleDialer, c); err != nil || !reflect.DeepEqual(got, meeting) {
		t.Errorf("got %+v, %v; want %+v", got, err, meeting)
	}
	for what, tt := range map[string]struct {
		role string
		c    hub.Candidates
	}{
		"the other end's":    {hub.RoleListener, *c},
		"another generation": {hub.RoleDialer, hub.Candidates{Session: c.Session, Gen: 2, Sealed: c.Sealed}},
		"another session":    {hub.RoleDialer, hub.Candidates{Session: hub.NewID(), Gen: 1, Sealed: c.Sealed}},
		"changed":            {hub.RoleDialer, hub.Candidates{Session: c.Session, Gen: 1, Sealed: flip(c.Sealed)}},
		"empty":              {hub.RoleDialer, hub.Candidates{Session: c.Session, Gen: 1}},
	} {
		_, err := keys.OpenMeeting(tt.role, &tt.c)
		xtest.WantCode(t, what, err, proto.Protocol)
	}
}

func TestMeetingLimits(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	_, keys := s.accept(t, hub.Grant{Token: "mesh1abc"})
	var m hub.Meeting
	for i := range hub.MaxCandidates + 1 {
		_, err := keys.SealMeeting(hub.RoleDialer, uint64(i)+1, m)
		if err != nil {
			t.Errorf("%d candidates: %v", len(m.Candidates), err)
		}
		m.Candidates = append(m.Candidates, hub.Candidate{candidate.Host, candidate.TCP, fmt.Sprintf("192.0.2.%d:4600", i+1), 1})
	}
	_, err := keys.SealMeeting(hub.RoleDialer, 100, m)
	wantError(t, "17 candidates", err, "the limit is 16")
	_, err = keys.SealMeeting(hub.RoleDialer, 101, hub.Meeting{Candidates: []hub.Candidate{{candidate.Host, candidate.UDP, "host.example:1", 1}}})
	wantError(t, "a name as host candidate", err, "want IP:PORT")
}

func TestBadGrant(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	for what, g := range map[string]hub.Grant{
		"neither token nor method": {},
		"both":                     {Token: "mesh1abc", Method: hub.MethodKey},
		"unknown method":           {Method: "trust me"},
		"long token":               {Token: strings.Repeat("m", 2<<10+1)},
	} {
		if _, _, err := s.request.Accept(s.listener, s.hub.ID(), s.dialer.ID(), g); err == nil {
			t.Errorf("%s: the grant is sealed", what)
		}
	}
	s.request.Seal = make([]byte, hub.SealKeyBytes-1)
	_, _, err := s.request.Accept(s.listener, s.hub.ID(), s.dialer.ID(), hub.Grant{Token: "mesh1abc"})
	xtest.WantCode(t, "a request with a short key", err, proto.Protocol)
}
