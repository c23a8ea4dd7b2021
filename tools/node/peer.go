package node

import (
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
)

// EnvPeer is the variable that mesh-cat takes PEER from when it is no argument.
const EnvPeer = "MESH_PEER"

// Peer is whom a PEER on the command line stands for.
type Peer struct {
	identity.Peer
	// Credential is what the listener lets us in for.
	Credential token.Credential
	// Caps is what the credential allows, as far as we know.
	Caps proto.Caps
	// Kind is that of the transfers to ask for; "" for pipes.
	Kind string
	// Token is set if PEER is one.
	Token *token.Token
}

// Peer finds whom the tool's PEER means: a token, @FILE that holds a token, or
// a name from the address book.
func (n *Node) Peer(args []string) (Peer, error) {
	text, fromArg := os.Getenv(EnvPeer), false
	if len(args) > 0 {
		text, fromArg = args[0], true
	}
	file, isFile := strings.CutPrefix(text, "@")
	switch {
	case text == "":
		return Peer{}, proto.Hint(proto.Errorf(proto.Usage, "PEER is missing"), "PEER is a token, @FILE with a token, or a name that mesh-token peer add has given")
	case isFile:
		t, err := ReadToken(file)
		if err != nil {
			return Peer{}, err
		}
		return n.bearer(t), nil
	case strings.HasPrefix(text, token.Prefix):
		t, err := parseToken(text)
		if err != nil {
			return Peer{}, proto.Hint(err, "copy the whole token, or put it into a file and give @FILE")
		}
		if fromArg {
			if err := CheckArgument(t); err != nil {
				return Peer{}, err
			}
		}
		return n.bearer(t), nil
	}
	return n.named(text)
}

// CheckArgument refuses a token that may not stand on a command line.
func CheckArgument(t token.Token) error {
	if t.MultiUse() {
		err := proto.Errorf(proto.Usage, "a token for many uses must not stand on a command line, where all users of this machine can read it")
		return proto.Hint(err, "put it into a file and give @FILE")
	}
	return nil
}

func (n *Node) bearer(t token.Token) Peer {
	p := Peer{Peer: identity.Peer{Name: n.Book.NameOf(t.Listener), ID: t.Listener, Addrs: t.Addrs}, Credential: t.Credential(), Caps: t.Caps, Token: &t}
	n.Log.Info("token read", "token", t.ID, "listener", t.Listener, "allows", t.Caps, "expires", t.Expires)
	return p
}

func (n *Node) named(name string) (Peer, error) {
	if err := identity.CheckAddr(name); err == nil {
		err := proto.Errorf(proto.Usage, "%s is an address, and says nothing of the key to expect there", name)
		return Peer{}, proto.Hint(err, "PEER is a token; mesh-token peer add --addr "+name+" NAME NODEID gives the address a name and a key")
	}
	if _, _, ok := strings.Cut(name, "@"); ok {
		return Peer{}, proto.Errorf(proto.Usage, "NAME@HUB is not there yet: this version has no hubs")
	}
	if id, err := identity.ParseID(name); err == nil {
		err := proto.Errorf(proto.Usage, "%s is a node id, and says nothing of where that node is", id.Short())
		return Peer{}, proto.Hint(err, "mesh-token peer add --addr HOST:PORT NAME "+id.String()+" gives it a name and an address")
	}
	if err := identity.CheckName(name); err != nil {
		return Peer{}, proto.Hint(proto.Errorf(proto.Usage, "PEER is neither a token nor a name"), "a token begins with "+token.Prefix)
	}
	p, found, err := n.Book.Lookup(name)
	switch {
	case err != nil:
		return Peer{}, err
	case !found:
		return Peer{}, proto.Hint(proto.Errorf(proto.Usage, "unknown peer %s", name), "mesh-token peer add [--addr HOST:PORT] "+name+" NODEID|TOKEN gives the name")
	case len(p.Addrs) == 0:
		return Peer{}, proto.Hint(proto.Errorf(proto.Unreachable, "no address is known for %s", name), "mesh-token peer add --addr HOST:PORT "+name+" "+p.ID.String())
	}
	return Peer{Peer: p, Credential: token.KeyCredential(), Caps: proto.AllCaps}, nil
}

// ReadToken reads the token that a file holds, alone but for white space.
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

// ParseToken reads a token from r: nothing else may be there but white space.
func ParseToken(r io.Reader) (token.Token, error) {
	text, err := io.ReadAll(io.LimitReader(r, 2*token.MaxTextBytes))
	if err != nil {
		return token.Token{}, proto.IOError(err)
	}
	return parseToken(string(text))
}

// parseToken reads the text of a token, also of one that a mail or a terminal
// has broken into lines.
func parseToken(text string) (token.Token, error) {
	return token.Parse(strings.Join(strings.Fields(text), ""))
}

// Flags are the flags of every tool that links.
func Flags(more ...cli.Flag) []cli.Flag {
	return append(more, cmdline.Via(), cmdline.ResumeFor(), cmdline.Window(), cmdline.Spool(), cmdline.Deadline(), cmdline.Events(), cmdline.Quiet(), cmdline.Verbose())
}
