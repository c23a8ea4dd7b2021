package token

import (
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

func newCommand() *cli.Command {
	return &cli.Command{
		Name:  "new",
		Usage: "print a token for the mesh-listen of this user",
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "allow", Value: proto.CapSend.String(),
				Usage: "what the bearer may do: `CAPS`, with commas between, are send (to this machine), recv (from this machine), tty:view and tty:control",
			},
			cmdline.TTL(),
			&cli.UintFlag{Name: "uses", Value: 1, Usage: "let up to `N` nodes use the token; 0: any number"},
			&cli.StringFlag{Name: "to", Usage: "let only `NODEID` use the token"},
			cmdline.Addr(),
		},
		Action: action(readNew, printNew),
	}
}

// newOptions describe the token to make.
type newOptions struct {
	caps   proto.Caps
	ttl    time.Duration
	uses   uint16      // 0: any number
	holder identity.ID // zero: anybody
	addrs  []string    // none: those of the mesh-listen that started last
}

func readNew(c *cli.Context) (newOptions, error) {
	o := newOptions{ttl: c.Duration("ttl"), addrs: nodeflags.Addrs(c)}
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return o, err
	}
	var err error
	if o.caps, err = proto.ParseCaps(c.String("allow")); err != nil {
		return o, proto.Errorf(proto.Usage, "--allow: %w", err)
	}
	if to := c.String("to"); to != "" {
		if o.holder, err = identity.ParseID(to); err != nil {
			return o, proto.Errorf(proto.Usage, "--to: %w", err)
		}
	}
	uses := c.Uint("uses")
	if uses > math.MaxUint16 {
		return o, proto.Errorf(proto.Usage, "--uses is at most %d", math.MaxUint16)
	}
	o.uses = uint16(uses)
	return o, nil
}

func printNew(home string, o newOptions, s cmdline.Streams) error {
	key, book, err := openState(home)
	if err != nil {
		return err
	}
	if len(o.addrs) == 0 {
		if o.addrs, err = node.ListenerAddrs(book); err != nil {
			return err
		}
	}
	if len(o.addrs) == 0 {
		err := proto.Errorf(proto.Usage, "no address for the token: no mesh-listen has run here yet")
		return proto.Hint(err, "--addr HOST:PORT gives the address that it will have")
	}
	t, err := token.NewCapability(key, o.caps, o.ttl, o.uses, o.holder, o.addrs)
	if err != nil {
		return usage(err)
	}
	text, err := t.Encode()
	if err != nil {
		return usage(err)
	}
	return s.PrintLine(text)
}
