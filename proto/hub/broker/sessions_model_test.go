package broker_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mesh/proto/hub"
)

// modelSession is a session as the page of the protocol describes it.
type modelSession struct {
	r                *hub.Request
	dialer, listener int
	accepted         bool
	pending          bool
	ends             time.Time
}

// sessionsModel is what a hub does with sessions, without anything clever: nodes that come
// and go, each under its name, and the sessions between them.
type sessionsModel struct {
	w     *world
	r     *rand.Rand
	peers []*peer
	gone  []bool
	live  map[hub.ID]*modelSession
	known []*modelSession // also those that have ended
}

var modelNames = []string{"alice", "bob", "carol"}

func newSessionsModel(t *testing.T, seed uint64) *sessionsModel {
	w := newWorld(t)
	m := &sessionsModel{w: w, r: rand.New(rand.NewPCG(seed, 2)), gone: make([]bool, len(modelNames)), live: map[hub.ID]*modelSession{}}
	for _, name := range modelNames {
		m.peers = append(m.peers, w.online(w.member(), named(name)))
	}
	return m
}

// pass lets time pass, in which those that are there stay alive.
func (m *sessionsModel) pass(d time.Duration) {
	var here []*peer
	for i, p := range m.peers {
		if !m.gone[i] {
			here = append(here, p)
		}
	}
	m.w.passAlive(d, here...)
	maps.DeleteFunc(m.live, func(_ hub.ID, s *modelSession) bool { return !m.w.now.Before(s.ends) })
}

// step does one thing at random, and checks what the hub answers.
func (m *sessionsModel) step() {
	who := m.r.IntN(len(m.peers))
	p := m.peers[who]
	op := m.r.IntN(11)
	switch {
	case op == 0:
		m.pass(time.Duration(1+m.r.IntN(30)) * time.Second)
		return
	case op == 1:
		m.comeOrGo(who)
		return
	case m.gone[who]:
		return
	case op <= 3 || len(m.known) == 0:
		m.request(p, who)
		return
	}
	s := m.known[m.r.IntN(len(m.known))]
	live := m.live[s.r.Session] == s
	answers := live && s.listener == who
	party := live && s.accepted && (s.dialer == who || s.listener == who)
	id := s.r.Session
	ref := &hub.SessionRef{Session: id}
	switch op {
	case 4:
		p.want(found(answers, hub.CodeGone), hub.TypeAccept, acceptOf(id))
		if answers && !s.accepted {
			s.accepted, s.ends = true, m.w.now.Add(hub.SessionLife)
		}
	case 5:
		p.want(found(answers, hub.CodeNotFound), hub.TypePending, ref)
		if answers && !s.accepted && !s.pending {
			s.pending, s.ends = true, s.ends.Add(hub.PendingTimeout)
		}
	case 6:
		p.want(found(answers, hub.CodeNotFound), hub.TypeDecline, &hub.Decline{Session: id, Code: hub.CodeDeclined})
		m.end(s, answers && !s.accepted)
	case 7:
		p.want(found(live && s.dialer == who, hub.CodeNotFound), hub.TypeCancel, ref)
		m.end(s, live && s.dialer == who)
	case 8:
		p.want(found(party, hub.CodeNotFound), hub.TypeClosed, &hub.Closed{Session: id, Reason: "done"})
		m.end(s, party)
	case 9:
		want := found(party, hub.CodeNotFound)
		if other := s.dialer + s.listener - who; party && m.gone[other] {
			want = hub.CodeOffline
		}
		p.want(want, hub.TypeCandidates, &hub.Candidates{Session: id, Gen: 1, Sealed: []byte{1}})
	case 10:
		m.again(p, who, s, live)
	}
}

// found is the answer for a session that is there for whoever asks, or the code of the error.
func found(there bool, code string) string {
	if there {
		return hub.TypeOK
	}
	return code
}

func (m *sessionsModel) end(s *modelSession, over bool) {
	if over {
		delete(m.live, s.r.Session)
	}
}

func (m *sessionsModel) request(p *peer, who int) {
	to := m.r.IntN(len(m.peers))
	s := &modelSession{r: p.request(modelNames[to]), dialer: who, listener: to, ends: m.w.now.Add(hub.AnswerTimeout)}
	there := to != who && !m.gone[to]
	got := outcome(p.ask(hub.TypeRequest, s.r))
	if m.gone[to] && got == hub.CodeNotFound { // the name is nobody's any more
		return
	}
	if want := found(there, hub.CodeOffline); got != want {
		m.w.t.Errorf("request to %s: got %q, want %q", modelNames[to], got, want)
	}
	if there {
		m.live[s.r.Session] = s
		m.known = append(m.known, s)
	}
}

// again repeats a request: its dialer as it was, another node under its own signature.
func (m *sessionsModel) again(p *peer, who int, s *modelSession, live bool) {
	if !live {
		return
	}
	if who == s.dialer {
		p.want(hub.TypeOK, hub.TypeRequest, s.r)
		m.end(s, s.accepted && m.gone[s.listener])
		return
	}
	stolen := *s.r
	stolen.Sign(p.key, m.w.hub.ID())
	p.want(hub.CodeBadEvent, hub.TypeRequest, &stolen)
}

// comeOrGo lets a node leave, or come back as the same instance.
func (m *sessionsModel) comeOrGo(who int) {
	if m.gone[who] {
		m.peers[who], m.gone[who] = m.peers[who].again(named(modelNames[who])), false
		return
	}
	m.peers[who].k.Left()
	m.gone[who] = true
	for _, s := range slices.Collect(maps.Values(m.live)) {
		m.end(s, s.dialer == who || s.listener == who && !s.accepted)
	}
}

// The hub does with random events what a slow model does.
func TestSessionsModel(t *testing.T) {
	t.Parallel()
	sessions := 0
	for seed := range uint64(12) {
		m := newSessionsModel(t, seed)
		for i := range 600 {
			m.step()
			if got := m.w.b.Count().Sessions; got != len(m.live) {
				t.Errorf("got %d sessions, want %d", got, len(m.live))
			}
			if got := m.w.b.Involved(); len(m.live) == 0 && got != 0 {
				t.Errorf("%d parties of no session are left", got)
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, i)
			}
			m.pass(time.Second) // for the rates
		}
		sessions += len(m.known)
	}
	if sessions < 200 {
		t.Errorf("got %d sessions, want more to say anything", sessions)
	}
}
