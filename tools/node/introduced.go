package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/token"
)

// Grade says how sure this node is who a peer is.
type Grade string

const (
	// GradePinned is a peer whose key this node knows: by its address book, a token, or
	// the node id that the user gave.
	GradePinned Grade = "pinned"
	// GradeIssued is a peer for whose key and name an issuer vouches that this node trusts.
	GradeIssued Grade = "issued"
	// GradeCode is a peer that has proven a code which a person has carried.
	GradeCode Grade = "code"
	// GradeHub is a peer whose key a hub has named.
	GradeHub Grade = "hub"
)

// grades are all grades, the surest first.
var grades = []Grade{GradePinned, GradeIssued, GradeCode, GradeHub}

// suffices reports whether the least grade of p lets a peer of the grade be linked to.
// Without one, a key that only a hub names does not.
func (n *Node) suffices(p Peer, g Grade) bool {
	least := cmp.Or(Grade(n.trust(p)), GradeCode)
	return slices.Index(grades, g) <= slices.Index(grades, least)
}

// acquaintance is a peer that this process knows with the help of a hub.
type acquaintance struct {
	grade Grade
	typed string // PEER, "" if that is a code; of a dialer, the name in its voucher
}

// noteMet notes that the hubs have introduced a peer.
func (n *Node) noteMet(p Peer, id identity.ID, g Grade) {
	n.metMu.Lock()
	defer n.metMu.Unlock()
	n.met[id] = acquaintance{g, p.hub.typed}
}

// gradeOf returns the grade of a link's peer, whose name in the address book is given, the
// PEER by which a hub was asked for it, and whether a hub has introduced the two.
func (n *Node) gradeOf(l *link.Link, name string) (grade Grade, typed string, met bool) {
	n.metMu.Lock()
	defer n.metMu.Unlock()
	a, met := n.met[l.Peer]
	if l.Dialed && met {
		return a.grade, a.typed, true
	}
	byHub := false
	if !l.Dialed && l.Token != nil {
		a, byHub = n.proven[*l.Token]
	}
	switch {
	case l.Dialed || l.Token == nil || name != "":
		return GradePinned, "", byHub
	case byHub:
		return a.grade, a.typed, true
	}
	return "", "", false
}

// noteProven notes who has got a token: a node that has proven a code, or has shown a
// voucher for its name.
func (n *Node) noteProven(tokenText string, a acquaintance) {
	t, err := token.Parse(tokenText)
	if err != nil {
		return
	}
	n.metMu.Lock()
	defer n.metMu.Unlock()
	if len(n.proven) < maxProven {
		n.proven[t.ID] = a
	}
}

// maxProven bounds the tokens that are remembered.
const maxProven = 10000

// introduction is what the hubs are asked for.
type introduction struct {
	to    string    // a name, or a node id
	name  string    // that the user has accepted as to, a node id, before; else ""
	host  string    // of the hubs to ask; "" for all
	typed string    // PEER; "" if that is secret
	code  *hub.Code // in place of to
}

// split returns the room of what a hub is asked for, "" without one, and the name in it.
func (i *introduction) split() (room, name string) {
	room, name, inRoom := strings.Cut(i.to, "/")
	if !inRoom {
		return "", i.to
	}
	return room, name
}

// introduced resolves what the hubs know: NAME, ROOM/NAME, NAME@HOST, and a node id.
type introduced struct{ node *Node }

// Resolve implements [Resolver]. It asks no hub: [Node.Dial] does, for the kind of the
// transfer.
func (r introduced) Resolve(_ context.Context, text string) (Peer, bool, error) {
	name, host, atHub := strings.Cut(text, "@")
	switch {
	case len(r.node.options.Hubs) == 0:
		return Peer{}, false, nil
	case atHub && name != "" && len(r.node.hubsOf(host)) == 0:
		err := proto.Errorf(proto.Usage, "%s is not the host of a hub of this node", proto.QuoteText(host))
		return Peer{}, false, proto.Hint(err, "mesh-hub status lists the hubs, mesh-hub join adds one")
	}
	p := Peer{Peer: identity.Peer{Name: text}, Credential: token.KeyCredential(), Caps: proto.AllCaps}
	if id, err := identity.ParseID(name); err == nil {
		p.ID, p.Name = id, r.node.Book.NameOf(id)
		p.hub = &introduction{to: name, host: host, typed: text}
		return p, true, nil
	}
	p.hub = &introduction{to: strings.ToLower(name), host: host, typed: text}
	room, bare := p.hub.split()
	if hub.CheckName(bare) != nil || strings.Contains(name, "/") && (hub.CheckRoom(room) != nil || r.node.mistakenFile(text) != nil) {
		return Peer{}, false, nil
	}
	pinned, err := r.node.pinned(bare, host)
	if pinned != nil {
		p.ID, p.hub.to, p.hub.name = *pinned, pinned.String(), name
	}
	return p, true, err
}

// pinned returns the key of a name that the user has accepted from a hub before: the name
// is that key at every hub.
func (n *Node) pinned(name, host string) (*identity.ID, error) {
	peers, err := n.Book.Known()
	for _, p := range peers {
		if known, at, ok := strings.Cut(p.Name, "@"); ok && known == name && (host == "" || strings.EqualFold(at, host)) {
			return &p.ID, err
		}
	}
	return nil, err
}

// judge decides whether the node that a hub names is the peer that is meant, and how sure
// that is.
func (n *Node) judge(ctx context.Context, p Peer, at hub.URL, c agent.Claim) (Grade, error) {
	got := c.Peer
	switch {
	case p.ID != (identity.ID{}) && got != p.ID:
		err := proto.Errorf(proto.Identity, "hub %s names another node: %s has the key %s, and not %s", at.Name(), p.label(), p.ID, got)
		return "", proto.Hint(err, "nothing was sent; if "+p.label()+" has a new key: mesh-token peer forget "+p.label()+", and add it again")
	case p.ID != (identity.ID{}):
		return GradePinned, nil
	case got == n.Key.ID():
		return "", proto.Errorf(proto.Identity, "%s is this node itself", p.label())
	}
	_, name := p.hub.split()
	issued, err := n.issued(name, c)
	switch {
	case err != nil:
		return "", err
	case issued && n.suffices(p, GradeIssued):
		return GradeIssued, nil
	case issued:
		err := proto.Errorf(proto.Identity, "%s is known by a voucher alone, which says that its key is %s", p.label(), got)
		return "", proto.Hint(err, "mesh-token peer add "+name+" "+got.String()+" adds it to the address book")
	case n.suffices(p, GradeHub):
		return GradeHub, nil
	case n.trust(p) == "" && n.options.Ask != nil:
		return GradeHub, n.askAbout(ctx, p, at, got)
	}
	err = proto.Errorf(proto.Identity, "%s is known by the word of hub %s alone, which says that its key is %s", p.label(), at.Name(), got)
	return "", proto.Hint(proto.Hint(err, "if mesh-token id prints that there: mesh-token peer add "+name+" "+got.String()), "--trust hub believes the hub")
}

// askAbout asks the user whether a key is the peer's, and keeps it if it is.
func (n *Node) askAbout(ctx context.Context, p Peer, at hub.URL, got identity.ID) error {
	answer, err := n.options.Ask(ctx, fmt.Sprintf("hub %s says that %s has the key %s (mesh-token id --words prints these words there). Trust this key? [y/N] ", at.Name(), p.hub.to, keyWords(got)))
	if err != nil {
		return err
	}
	if !isYes(answer) {
		return proto.Errorf(proto.Declined, "the key of %s is not trusted", p.label())
	}
	return n.pin(p.hub, at, got)
}

// pin keeps the key of a name at a hub in the address book.
func (n *Node) pin(i *introduction, at hub.URL, id identity.ID) error {
	_, name := i.split()
	return n.Book.Add(identity.Peer{Name: name + "@" + at.Name(), ID: id})
}

// Introduce returns the key of a peer, which is NAME@HOST, NAME or a node id. A key that the
// address book does not have is looked up at the hubs and shown to the user. With the
// user's yes, by a voucher, or with [Options.Trust] of [GradeHub], it is in the address book
// then.
func (n *Node) Introduce(ctx context.Context, text string) (identity.ID, error) {
	p, err := n.Peer(ctx, PeerText{Text: text})
	if err != nil || p.ID != (identity.ID{}) {
		return p.ID, err
	}
	h := n.openHubs(n.hubsOf(p.hub.host), false, nil)
	defer h.close()
	var grade Grade
	got, at, err := h.lookup(ctx, p.hub.to)
	if err == nil {
		grade, err = n.judge(ctx, p, at, got)
	}
	if err != nil {
		return p.ID, fmt.Errorf("look up %s: %w", p.label(), err)
	}
	if grade == GradeIssued || n.suffices(p, GradeHub) { // the user was not asked
		_, name := p.hub.split()
		n.note(name + "@" + at.Name() + " has the key " + keyWords(got.Peer) + ": mesh-token id --words prints these words there")
		err = n.pin(p.hub, at, got.Peer)
	}
	return got.Peer, err
}
