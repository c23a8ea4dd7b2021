package node

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/paste"
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
	// Terms, if set, are what holds for this peer in place of the node's options.
	Terms *PeerTerms
	// hub is set if the hubs are asked for the peer. ID is zero if its key is not known.
	hub *introduction
}

// PeerText is PEER as the user gave it.
type PeerText struct {
	Text string
	// Argument says that it stands on the command line, where all users of the
	// machine can read it. A token for many uses is refused there.
	Argument bool
}

// PeerOf returns PEER and the arguments behind it. PEER is the tool's first argument, or
// without arguments the value of [EnvPeer]. A token that a line break has cut is
// several arguments, and a command line that was pasted whole is reduced to its PEER.
// No error repeats an argument that may be a part of a token.
func PeerOf(args []string, env string) (p PeerText, rest []string, err error) {
	if len(args) == 0 {
		return PeerText{Text: env}, nil, nil
	}
	args = paste.Unprompt(args)
	p, rest = PeerText{args[0], true}.tidy(), args[1:]
	if p.IsToken() {
		var t token.Token
		if t, rest, err = paste.Join(args); err != nil {
			return PeerText{}, nil, proto.Hint(err, hintCopy)
		}
		if p.Text, err = t.Encode(); err != nil {
			return PeerText{}, nil, err
		}
	}
	return p, rest, checkRest(rest)
}

// checkRest refuses a part of a token behind PEER.
func checkRest(rest []string) error {
	for _, word := range rest {
		if _, err := os.Stat(word); err != nil && paste.Secret(word) {
			err := proto.Errorf(proto.Usage, "an argument behind PEER looks like a part of a token")
			return proto.Hint(err, hintCopy)
		}
	}
	return nil
}

// IsToken reports whether PEER is a token itself, whole or not, and not @FILE.
func (p PeerText) IsToken() bool {
	_, inFile := strings.CutPrefix(p.Text, "@")
	return paste.HasToken(p.Text) && !isTokenFile(p.Text) && (!inFile || paste.Secret(p.Text))
}

// tidy returns PEER without what copying may have added, if it is no token.
func (p PeerText) tidy() PeerText {
	if !paste.HasToken(p.Text) && !isTokenFile(p.Text) {
		p.Text = paste.PeerWord(p.Text)
	}
	return p
}

// Token returns the token that PEER is, or that the file holds. isToken is false for
// all other forms of PEER.
func (p PeerText) Token() (t token.Token, isToken bool, err error) {
	file, inFile := strings.CutPrefix(p.Text, "@")
	switch {
	case isTokenFile(p.Text):
	case paste.HasToken(p.Text):
		// also with @ before the token itself
		if t, err = paste.Token(p.Text); err == nil || !inFile {
			return t, true, proto.Hint(err, hintCopy)
		}
	case !inFile:
		return t, false, nil
	default:
		file = paste.Word(file)
	}
	t, err = ReadToken(file)
	return t, true, err
}

// hintCopy says how a token gets whole from one machine to the other.
const hintCopy = "copy the whole token, or put it into a file and give @FILE"

// isTokenFile reports whether text is @FILE and the file is there.
func isTokenFile(text string) bool {
	file, found := strings.CutPrefix(text, "@")
	if !found {
		return false
	}
	_, err := os.Stat(file)
	return err == nil
}

// Resolver finds the peers of one form of PEER.
type Resolver interface {
	// Resolve returns the peer that text means. found is false, with a nil error, if
	// text has another form or a name that this resolver does not know: then the next
	// one is asked. An error ends the search.
	Resolve(ctx context.Context, text string) (p Peer, found bool, err error)
}

// Peer finds the listener that PEER means. It asks, in this order: @FILE that holds
// a token, a token, a code, a name of the address book, what the hubs know, and then
// [Options.Resolvers].
func (n *Node) Peer(ctx context.Context, p PeerText) (Peer, error) {
	p = p.tidy()
	if p.Text == "" {
		return Peer{}, proto.Hint(proto.Errorf(proto.Usage, "PEER is missing"), "PEER is a token, @FILE with a token, or a name that mesh-token peer add has given")
	}
	for _, r := range n.resolvers {
		peer, found, err := r.Resolve(ctx, p.Text)
		if err != nil {
			if identity.CheckName(p.Text) == nil {
				n.reporter.note(Facts{Peer: p.Text}) // its label, if it had been found
			}
			return Peer{}, err
		}
		if !found {
			continue
		}
		t := peer.Token
		if t == nil {
			return peer, nil
		}
		if p.Argument && p.IsToken() {
			err := CheckArgument(*t)
			if err != nil && n.options.Name != "mesh-recv" { // which does not read the variable
				err = proto.Hint(err, "or give it in the environment: "+EnvPeer+"=TOKEN "+n.options.Name)
			}
			if err != nil {
				return Peer{}, err
			}
		}
		n.Log.Info("token read", "token", t.ID, "listener", t.Listener, "allows", t.Caps, "expires", t.Expires)
		return peer, nil
	}
	return Peer{}, n.unresolved(p.Text)
}

// unresolved says why no resolver knows text. It repeats nothing that may be a part
// of a token.
func (n *Node) unresolved(text string) error {
	if err := n.mistakenFile(text); err != nil {
		return err
	}
	if paste.Secret(text) && !strings.HasPrefix(text, "mk1") {
		return proto.Hint(proto.Errorf(proto.Usage, "PEER looks like a part of a token, which begins with "+token.Prefix), hintCopy)
	}
	if err := identity.CheckAddr(text); err == nil {
		err := proto.Errorf(proto.Usage, "%s is an address, which does not say which key to expect there", text)
		return proto.Hint(err, "PEER is a token; mesh-token peer add --addr "+text+" NAME NODEID gives the address a name and a key")
	}
	if strings.Contains(text, "@") {
		return proto.Hint(proto.Errorf(proto.Usage, "NAME@HOST is a name at a hub, and this node has no hub"), "mesh-hub join, or --hub URL")
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

// mistakenFile returns an error if text, which is no PEER, is a file.
func (n *Node) mistakenFile(text string) error {
	if info, err := os.Stat(text); err != nil || paste.Secret(text) && !info.Mode().IsRegular() {
		return nil
	}
	name := proto.EscapeText(text)
	if paste.FileHasToken(text) {
		return proto.Hint(proto.Errorf(proto.Usage, "PEER is missing: %s is a file that holds a token", name), "@"+name+" stands for the token in it")
	}
	hint := "PEER is a token, @FILE with a token, or a name"
	if n.options.Name == "mesh-cat" {
		hint = "PEER comes before the files: a token, @FILE with a token, or a name"
	}
	return proto.Hint(proto.Errorf(proto.Usage, "PEER is missing: %s is a file or folder here", name), hint)
}

// tokens resolves a token, and @FILE that holds one. Its book has names for listeners.
type tokens struct{ book identity.Book }

// Resolve implements [Resolver].
func (r tokens) Resolve(_ context.Context, text string) (Peer, bool, error) {
	t, found, err := PeerText{Text: text}.Token()
	if err != nil || !found {
		return Peer{}, false, err
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

// addressBook resolves names. With hubs, these are asked for the peer's id as well.
type addressBook struct {
	identity.Book
	hubs bool
}

// Resolve implements [Resolver].
func (b addressBook) Resolve(_ context.Context, text string) (Peer, bool, error) {
	if identity.CheckName(text) != nil {
		return Peer{}, false, nil
	}
	p, found, err := b.Lookup(text)
	switch {
	case err != nil || !found:
		return Peer{}, false, err
	case len(p.Addrs) == 0 && !b.hubs:
		return Peer{}, false, proto.Hint(proto.Errorf(proto.Unreachable, "no address is known for %s", text), "mesh-token peer add --addr HOST:PORT "+text+" "+p.ID.String())
	}
	peer := Peer{Peer: p, Credential: token.KeyCredential(), Caps: proto.AllCaps}
	if b.hubs {
		peer.hub = &introduction{to: p.ID.String(), typed: text}
	}
	return peer, true, nil
}

// label is the peer's name in messages.
func (p Peer) label() string {
	if p.ByCode() {
		return p.hub.code.String()
	}
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

// ReadToken reads the one token in a file.
func ReadToken(file string) (token.Token, error) {
	if file == "" {
		return token.Token{}, proto.Hint(proto.Errorf(proto.Usage, "@ without the name of a file"), "@FILE is a file that holds a token")
	}
	f, err := os.Open(file)
	if err != nil {
		return token.Token{}, openTokenError(file, err)
	}
	defer f.Close()
	t, err := parseToken(f)
	if err != nil {
		return t, proto.Errorf(proto.CodeOf(err), "%s: %w", proto.EscapeText(file), err)
	}
	return t, nil
}

// openTokenError is the error for a token file that cannot be opened. It does not
// repeat a name that may be a part of a token.
func openTokenError(file string, err error) error {
	switch {
	case paste.Secret(file):
		err = proto.Hint(proto.Errorf(proto.IO, "no such file, and @ stands before the name of a file"), "a token itself stands without @: "+hintCopy)
	case strings.HasPrefix(file, "~"):
		err = proto.Hint(proto.IOError(err), "no shell replaces ~ behind @: write @$HOME"+strings.TrimLeft(file, "~"))
	case errors.Is(err, fs.ErrNotExist):
		err = proto.Hint(proto.IOError(err), "@FILE is a file that holds a token, for example that of --token-file at the other end")
	default:
		err = proto.IOError(err)
	}
	return err
}

// parseToken reads the one token in the text of r.
func parseToken(r io.Reader) (token.Token, error) {
	text, err := io.ReadAll(io.LimitReader(r, paste.MaxFileBytes))
	if err != nil {
		return token.Token{}, proto.IOError(err)
	}
	return paste.Token(string(text))
}
