package node

import (
	"context"
	"io"
	"os"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// EnvPeer is the variable that tools take PEER from when it is no argument.
const EnvPeer = "MESH_PEER"

// Peer is the listener that a PEER stands for.
type Peer struct {
	identity.Peer
	// Credential is the proof that this node may link.
	Credential token.Credential
	// Caps is what the credential allows, as far as that is known here.
	Caps proto.Caps
	// Token is set if PEER is one.
	Token *token.Token
}

// PeerText is PEER as the user gave it.
type PeerText struct {
	Text string
	// Argument says that it stands on the command line, where all users of the
	// machine can read it. A token for many uses is refused there.
	Argument bool
}

// PeerOf returns PEER: the tool's first argument, or without arguments the value of
// [EnvPeer].
func PeerOf(args []string, env string) PeerText {
	if len(args) > 0 {
		return PeerText{args[0], true}
	}
	return PeerText{Text: env}
}

// Resolver finds the peers of one form of PEER.
type Resolver interface {
	// Resolve returns the peer that text means. found is false, with a nil error, if
	// text has another form or a name that this resolver does not know: then the next
	// one is asked. An error ends the search.
	Resolve(ctx context.Context, text string) (p Peer, found bool, err error)
}

// Peer finds the listener that PEER means. It asks, in this order: @FILE that holds
// a token, a token, a name of the address book, and then [Options.Resolvers].
func (n *Node) Peer(ctx context.Context, p PeerText) (Peer, error) {
	if p.Text == "" {
		return Peer{}, proto.Hint(proto.Errorf(proto.Usage, "PEER is missing"), "PEER is a token, @FILE with a token, or a name that mesh-token peer add has given")
	}
	for _, r := range n.resolvers {
		peer, found, err := r.Resolve(ctx, p.Text)
		if err != nil {
			return Peer{}, err
		}
		if !found {
			continue
		}
		t := peer.Token
		if t == nil {
			return peer, nil
		}
		if p.Argument && strings.HasPrefix(p.Text, token.Prefix) {
			if err := CheckArgument(*t); err != nil {
				return Peer{}, err
			}
		}
		n.Log.Info("token read", "token", t.ID, "listener", t.Listener, "allows", t.Caps, "expires", t.Expires)
		return peer, nil
	}
	return Peer{}, unresolved(p.Text)
}

// unresolved says why no resolver knows text. It repeats nothing that may be a part
// of a token.
func unresolved(text string) error {
	if err := identity.CheckAddr(text); err == nil {
		err := proto.Errorf(proto.Usage, "%s is an address, which does not say which key to expect there", text)
		return proto.Hint(err, "PEER is a token; mesh-token peer add --addr "+text+" NAME NODEID gives the address a name and a key")
	}
	if strings.Contains(text, "@") {
		return proto.Errorf(proto.Usage, "NAME@HUB: this version has no hubs")
	}
	if id, err := identity.ParseID(text); err == nil {
		err := proto.Errorf(proto.Usage, "%s is a node id, which does not say where that node is", id.Short())
		return proto.Hint(err, "mesh-token peer add --addr HOST:PORT NAME "+id.String()+" gives it a name and an address")
	}
	if err := identity.CheckName(text); err != nil {
		return proto.Hint(proto.Errorf(proto.Usage, "PEER is neither a token nor a name"), "a token begins with "+token.Prefix)
	}
	return proto.Hint(proto.Errorf(proto.Usage, "unknown peer %s", text), "mesh-token peer add [--addr HOST:PORT] "+text+" NODEID|TOKEN gives the name")
}

// tokenFile resolves @FILE, a file that holds a token. Book has names for listeners.
type tokenFile struct{ book identity.Book }

// Resolve implements [Resolver].
func (r tokenFile) Resolve(_ context.Context, text string) (Peer, bool, error) {
	file, found := strings.CutPrefix(text, "@")
	if !found {
		return Peer{}, false, nil
	}
	t, err := ReadToken(file)
	return bearer(r.book, t), err == nil, err
}

// tokenText resolves a token.
type tokenText struct{ book identity.Book }

// Resolve implements [Resolver].
func (r tokenText) Resolve(_ context.Context, text string) (Peer, bool, error) {
	if !strings.HasPrefix(text, token.Prefix) {
		return Peer{}, false, nil
	}
	t, err := parseToken(text)
	if err != nil {
		return Peer{}, false, proto.Hint(err, "copy the whole token, or put it into a file and give @FILE")
	}
	return bearer(r.book, t), true, nil
}

// bearer returns the listener of a token, as the bearer of that token sees it.
func bearer(book identity.Book, t token.Token) Peer {
	return Peer{
		Peer:       identity.Peer{Name: book.NameOf(t.Listener), ID: t.Listener, Addrs: t.Addrs},
		Credential: t.Credential(), Caps: t.Caps, Token: &t,
	}
}

// addressBook resolves names.
type addressBook struct{ identity.Book }

// Resolve implements [Resolver].
func (b addressBook) Resolve(_ context.Context, text string) (Peer, bool, error) {
	if identity.CheckName(text) != nil {
		return Peer{}, false, nil
	}
	p, found, err := b.Lookup(text)
	switch {
	case err != nil || !found:
		return Peer{}, false, err
	case len(p.Addrs) == 0:
		return Peer{}, false, proto.Hint(proto.Errorf(proto.Unreachable, "no address is known for %s", text), "mesh-token peer add --addr HOST:PORT "+text+" "+p.ID.String())
	}
	return Peer{Peer: p, Credential: token.KeyCredential(), Caps: proto.AllCaps}, true, nil
}

// label is the peer's name in messages.
func (p Peer) label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID.Short()
}

// CheckArgument refuses a token that must not stand on a command line.
func CheckArgument(t token.Token) error {
	if !t.MultiUse() {
		return nil
	}
	err := proto.Errorf(proto.Usage, "a token for many uses must not stand on a command line, where all users of this machine can read it")
	return proto.Hint(err, "put it into a file and give @FILE")
}

// ReadToken reads a file that holds a token and white space only.
func ReadToken(file string) (token.Token, error) {
	f, err := os.Open(file)
	if err != nil {
		return token.Token{}, proto.IOError(err)
	}
	defer f.Close()
	t, err := ParseToken(f)
	if err != nil {
		return t, proto.Errorf(proto.CodeOf(err), "%s: %w", file, err)
	}
	return t, nil
}

// ParseToken reads a token from r, which holds nothing else but white space.
func ParseToken(r io.Reader) (token.Token, error) {
	text, err := io.ReadAll(io.LimitReader(r, 2*token.MaxTextBytes))
	if err != nil {
		return token.Token{}, proto.IOError(err)
	}
	return parseToken(string(text))
}

// parseToken reads the text of a token. A mail or a terminal may have broken it into
// lines.
func parseToken(text string) (token.Token, error) {
	return token.Parse(strings.Join(strings.Fields(text), ""))
}
