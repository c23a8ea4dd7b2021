package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/proto/token"
	"mesh/proto/wire"
)

// codes resolves codes, which one person reads to the other one.
type codes struct{ node *Node }

// Resolve implements [Resolver]. It asks no hub, and its errors repeat no words but those
// that are in no code.
func (r codes) Resolve(_ context.Context, text string) (Peer, bool, error) {
	if !hub.IsCode(text) {
		return Peer{}, false, nil
	}
	c, err := hub.ParseCode(text)
	if err != nil {
		return Peer{}, false, err
	}
	i := &introduction{host: c.Host, code: &c}
	if len(r.node.hubsFor(i)) == 0 {
		err := proto.Errorf(proto.Usage, "%s is a code at a hub, and this node has no hub", c)
		return Peer{}, false, proto.Hint(err, "mesh-hub join, or --hub URL; without a hub the other side shows its token with --show-token")
	}
	return Peer{Credential: token.KeyCredential(), Caps: proto.AllCaps, hub: i}, true, nil
}

// ByCode reports whether PEER is a code.
func (p Peer) ByCode() bool { return p.hub != nil && p.hub.code != nil }

// hubsFor returns the hubs to ask. For a code they may be one that this node has no other
// dealings with, and that takes it as a guest.
func (n *Node) hubsFor(i *introduction) []hub.URL {
	known := n.hubsOf(i.host)
	if len(known) > 0 || i.code == nil || i.host == "" {
		return known
	}
	u, err := hub.ParseURL("wss://" + i.host)
	if err != nil {
		return nil
	}
	return []hub.URL{u}
}

// claim proves to the peer behind the code that this node knows it.
func (m *meeting) claim(ctx context.Context) answer {
	h := m.open()
	s, at, err := h.claim(ctx, *m.peer.hub.code, m.codeKinds())
	m.spent = s.ID != (hub.ID{})
	if err != nil {
		return answer{err: m.wrongKind(err)}
	}
	grade, err := m.node.judgeCode(m.peer, s.Peer)
	return newAnswer(h, s, h.agents[at], grade, err)
}

// claim proves a code at the first hub that has it, the one with the index at. Another hub
// is asked only if one cannot be reached or has no such code, and never once a code was
// claimed: its number there may be the code of somebody else, which these words would burn.
// With an error the session has an ID if the code may have been used up.
func (h *hubs) claim(ctx context.Context, c hub.Code, kinds []hub.Kind) (s agent.Session, at int, err error) {
	h.inTurn(func(i int, within time.Duration) (failed error, over bool) {
		s, failed = h.agents[i].DialCode(ctx, agent.CodeAsk{Code: c, Kinds: kinds, Within: within})
		claimed := s.ID != (hub.ID{})
		if failed == nil || ctx.Err() != nil || claimed || !asksNext(failed) && agent.CodeOf(failed) != hub.CodeNoCode {
			at, err = i, failed
			return failed, true
		}
		if err == nil || proto.CodeOf(err) == proto.Unreachable {
			err = failed
		}
		return failed, false
	})
	return s, at, err
}

// codeKinds are the kinds of a code that this end can take. A listener that takes files
// may take a pipe too, and its code says files; one that offers files sends no pipe.
func (m *meeting) codeKinds() []hub.Kind {
	switch kind := m.kind(); {
	case kind == hub.KindPipe && !m.request.Need.Has(proto.CapRecv):
		return []hub.Kind{hub.KindPipe, hub.KindFiles}
	case kind == wire.KindTake:
		return []hub.Kind{hub.KindFiles}
	default:
		return []hub.Kind{kind}
	}
}

// wrongKind says what takes a code that this tool does not. Between pipes and files the
// tool knows what to do.
func (m *meeting) wrongKind(err error) error {
	wrong, ok := errors.AsType[*agent.KindError](err)
	switch {
	case !ok:
		return err
	case wrong.Kind == hub.KindTTY:
		return proto.Hint(err, "mesh-tty CODE views it")
	case wrong.Kind == hub.KindPair:
		return proto.Hint(err, "mesh-pair CODE takes it")
	case m.kind() == hub.KindTTY:
		return proto.Hint(err, "mesh-recv CODE takes what the other side sends, mesh-cat CODE sends to it")
	}
	return &proto.Error{Code: proto.Capability, Err: fmt.Errorf("%w: %w", ErrKind, err)}
}

// judgeCode decides whether a peer that has proven a code may be linked to, and how sure
// it is who that is.
func (n *Node) judgeCode(p Peer, got identity.ID) (Grade, error) {
	switch {
	case n.Book.NameOf(got) != "":
		return GradePinned, nil
	case n.suffices(p, GradeCode):
		return GradeCode, nil
	}
	return "", proto.Errorf(proto.Identity, "%s proves its key %s by a code alone, and --trust %s wants more", p.label(), got, n.trust(p))
}

// codeHint adds to the error of a dial by a code what can be done about it, and what has become
// of the code.
func codeHint(err error) error {
	_, unproven := errors.AsType[*agent.KindError](err)
	switch {
	case unproven:
		return proto.Hint(err, "the code is not used up")
	case agent.CodeOf(err) == hub.CodeNoCode:
		return proto.Hint(err, "a code is for one use, and for 10 minutes: ask for a new one")
	case errors.Is(err, path.ErrNotReached), errors.Is(err, ErrKind), proto.CodeOf(err) == proto.Capability:
		return proto.Hint(err, "the code is used up; the other side shows a new one soon")
	}
	return err
}
