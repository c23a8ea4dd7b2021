package token

import (
	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/paste"
)

// revokeOptions say whose rights end: those of a token's bearers, or of a node.
type revokeOptions struct {
	id    *token.ID    // of a token or a voucher
	token *token.Token // the token itself, if it was given
	node  string       // else a node id, or a name of the address book
}

// readRevoke reads the id of a token or voucher, either itself or @FILE, a node id, or a
// name.
// An id has the form of a name too, and is not looked up as one.
func readRevoke(c *cli.Context) (o revokeOptions, err error) {
	args, err := cmdline.Args(c, 1, -1)
	if err != nil {
		return o, err
	}
	if text := hubArgument(args[0]); text != "" && len(args) == 1 {
		v, err := readVoucher(text)
		if err == nil {
			o.id = &v.ID
		}
		return o, err
	}
	p, rest, err := node.PeerOf(args, "")
	if err != nil {
		return o, err
	}
	if len(rest) > 0 {
		return o, cmdline.TooMany(c, 1+len(rest), 1)
	}
	if t, isToken, err := p.Token(); isToken {
		o.id, o.token = &t.ID, &t
		return o, err
	}
	word := paste.Word(p.Text)
	if id, err := token.ParseID(word); err == nil {
		o.id = &id
		return o, nil
	}
	o.node = word
	return o, nil
}

func revoke(home string, o revokeOptions, _ cmdline.Streams) error {
	key, book, err := openState(home) // creates home
	if err != nil {
		return err
	}
	if o.token != nil && o.token.Listener != key.ID() {
		err := proto.Errorf(proto.Usage, "the token is of the listener %s, and this is %s", o.token.Listener.Short(), key.ID().Short())
		return proto.Hint(err, "mesh-token revoke "+o.id.String()+" on that machine makes it invalid")
	}
	if o.id != nil {
		return token.Revoke(home, *o.id)
	}
	id, err := findNode(book, o.node)
	if err != nil {
		return proto.Hint(err, "mesh-token show prints a token's id")
	}
	return book.Allow(id, 0)
}
