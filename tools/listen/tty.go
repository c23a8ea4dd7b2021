package listen

import (
	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
	"mesh/tools/cmdline/sharing"
)

// shareTerminal shares one terminal with all peers that come, until cmd, or a
// shell, ends.
func shareTerminal(c *cli.Context, cmd []string) error {
	switch {
	case c.Bool("once"):
		return proto.Errorf(proto.Usage, "either --tty or --once")
	case c.Int("max") < 1:
		return proto.Errorf(proto.Usage, "--max is at least 1")
	}
	o, err := sharing.Headless(cmd)
	if err != nil {
		return err
	}
	o.Log = cmdline.Logger(c)
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(sharing.Serve(c, n, o, node.Offer{Second: c.Bool("control"), Max: c.Int("max")}))
}
