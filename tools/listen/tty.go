package listen

import (
	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
	"mesh/tools/cmdline/sharing"
)

// shareTerminal shares one terminal with all peers that come, until cmd, or a
// shell, ends.
func shareTerminal(c *cli.Context, cmd []string) error {
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
