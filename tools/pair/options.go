package pair

import (
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// options are the flags and arguments of mesh-pair.
type options struct {
	node  nodeflags.Options
	peer  node.PeerText // a code or a token; "" shows one here
	offer node.Offer    // of the token that is shown here
	name  string        // "" asks, or takes the hub's word
	caps  *proto.Caps
}

func optionsOf(c *cli.Context) (o options, err error) {
	args, err := cmdline.Args(c, 0, -1)
	if err != nil {
		return o, err
	}
	o.node, o.offer, o.name = nodeflags.Read(c), nodeflags.Offer(c), c.String("name")
	if c.IsSet("name") {
		if err := node.CheckPairName(o.name); err != nil {
			return o, proto.Errorf(proto.Usage, "--name: %w", err)
		}
	}
	if c.IsSet("allow") {
		caps, err := parseCaps(c.String("allow"))
		if err != nil {
			return o, proto.Errorf(proto.Usage, "--allow: %w", err)
		}
		o.caps = &caps
	}
	if len(args) == 0 {
		o.node.Listen = c.String("listen")
		return o, nil
	}
	o.peer, err = readPeer(args)
	return o, err
}

// parseCaps reads what a node may do; "none" is nothing.
func parseCaps(text string) (proto.Caps, error) {
	if text == "none" {
		return 0, nil
	}
	return proto.ParseCaps(text)
}

// readPeer reads a code or a token that a person has copied. An error repeats nothing that
// may be a token.
func readPeer(args []string) (node.PeerText, error) {
	peer, rest, err := node.PeerOf(args, "")
	if err != nil {
		return peer, err
	}
	if len(rest) > 0 {
		return peer, proto.Errorf(proto.Usage, "too many arguments")
	}
	if !peer.IsToken() && !hub.IsCode(peer.Text) && !strings.HasPrefix(peer.Text, "@") {
		err := proto.Errorf(proto.Usage, "the argument is neither a code nor a token")
		return peer, proto.Hint(err, "mesh-pair without an argument shows one; a node id gets a name by mesh-token peer add")
	}
	return peer, nil
}
