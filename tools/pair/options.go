package pair

import (
	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/paste"
)

// options are the flags and arguments of mesh-pair.
type options struct {
	node nodeflags.Options
	code string // "" shows one here
	name string // "" asks, or takes the hub's word
	caps *proto.Caps
}

func optionsOf(c *cli.Context) (o options, err error) {
	args, err := cmdline.Args(c, 0, 1)
	if err != nil {
		return o, err
	}
	o.node, o.name = nodeflags.Read(c), c.String("name")
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
	if len(args) == 1 {
		o.code, err = readCode(args[0])
	}
	return o, err
}

// parseCaps reads what a node may do; "none" is nothing.
func parseCaps(text string) (proto.Caps, error) {
	if text == "none" {
		return 0, nil
	}
	return proto.ParseCaps(text)
}

// readCode reads a code that a person has copied. An error repeats nothing that may be a
// token.
func readCode(text string) (string, error) {
	code := paste.PeerWord(text)
	if !paste.HasToken(text) && hub.IsCode(code) {
		return code, nil
	}
	err := proto.Errorf(proto.Usage, "the argument is no code")
	return "", proto.Hint(err, "mesh-pair without an argument shows a code; a token or a node id gets a name by mesh-token peer add")
}
