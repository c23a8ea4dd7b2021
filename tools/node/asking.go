package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
)

// answer is what came of asking the hubs.
type answer struct {
	session agent.Session
	at      *agent.Agent
	hub     hub.URL
	grade   Grade
	err     error
}

// ask asks the hubs for a session with the peer. A hub that has had too many requests of
// this node, as from a loop in a script, is asked again for a while.
func (m *meeting) ask(ctx context.Context) answer {
	end := time.Now().Add(proto.DialTimeout)
	for {
		a := m.askOnce(ctx)
		wait := max(agent.RetryAfter(a.err), rateLimitedPause) + rand.N(rateLimitedPause)
		if agent.CodeOf(a.err) != hub.CodeRateLimited || time.Now().Add(wait).After(end) {
			return a
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer{err: context.Cause(ctx)}
		}
	}
}

func (m *meeting) askOnce(ctx context.Context) answer {
	switch {
	case m.byToken():
		return m.askForToken(ctx)
	case m.peer.ByCode():
		return m.claim(ctx)
	}
	var grade Grade
	h := m.open()
	s, at, err := h.request(ctx, func(u hub.URL) agent.Ask {
		return agent.Ask{
			To: m.peer.hub.to, Kind: m.kind(), Want: m.target.Want,
			Judge: func(ctx context.Context, c agent.Claim) (err error) {
				grade, err = m.node.judge(ctx, m.peer, u, c)
				return err
			},
			Pending: func() { m.node.note("waiting for " + m.peer.label() + " to allow it") },
		}
	})
	if code := agent.CodeOf(err); code == hub.CodeOffline || code == hub.CodeNotFound {
		err = m.renamed(ctx, err)
	}
	if agent.CodeOf(err) == hub.CodeOffline {
		err = m.lacksKind(ctx, err)
	}
	if agent.CodeOf(err) == hub.CodeKind {
		err = &proto.Error{Code: proto.Capability, Err: fmt.Errorf("%w: %w", ErrKind, err)}
	}
	return newAnswer(h, s, at, grade, err)
}

func newAnswer(h *hubs, s agent.Session, at *agent.Agent, grade Grade, err error) answer {
	a := answer{session: s, at: at, grade: grade, err: err}
	if at != nil {
		a.hub = h.urlOf(at)
	}
	return a
}

// askForToken asks where the peer is that a token is of.
func (m *meeting) askForToken(ctx context.Context) answer {
	h, cred := m.open(), m.peer.Credential
	if h == nil {
		return answer{err: context.Canceled}
	}
	s, at, err := h.request(ctx, func(u hub.URL) agent.Ask {
		return agent.Ask{
			To: m.peer.ID.String(), Kind: m.kind(), Want: m.target.Want,
			Judge: func(ctx context.Context, c agent.Claim) error {
				_, err := m.node.judge(ctx, m.peer, u, c)
				return err
			},
			Bearer: func(session hub.ID) *hub.Bearer {
				return hub.NewBearer(hub.MethodKnown, cred.Public, cred.Secret, session, m.node.Key.ID(), m.peer.ID)
			},
		}
	})
	return newAnswer(h, s, at, GradePinned, err)
}

// renamed tells a peer that is absent from one whose name has another key at a hub now.
func (m *meeting) renamed(ctx context.Context, absent error) error {
	if m.peer.hub.name == "" {
		return absent
	}
	if at, got, found := m.open().another(ctx, m.peer.hub.name, m.peer.ID); found {
		_, err := m.node.judge(ctx, m.peer, at, agent.Claim{Peer: got})
		return err
	}
	return absent
}

// lacksKind tells a peer that is online, but takes other kinds, from one that is not.
func (m *meeting) lacksKind(ctx context.Context, offline error) error {
	kinds := m.open().kindsOf(ctx, m.peer.hub.to)
	if len(kinds) == 0 || slices.Contains(kinds, m.kind()) || m.request.Wait > 0 {
		return offline
	}
	var words []string
	for _, k := range kinds {
		words = append(words, string(k))
	}
	return proto.Errorf(proto.Capability, "%w: it takes %s now, and not %s", ErrKind, strings.Join(words, ", "), m.kind())
}
