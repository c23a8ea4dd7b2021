package listen

import (
	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/sharing"
)

// shareTerminal shares one terminal with all peers that come, until cmd, or a
// shell, ends.
func shareTerminal(c *cli.Context, cmd []string) error {
	o, err := sharing.Headless(cmd)
	if err != nil {
		return err
	}
	name := ""
	if cmdline.Given(c, "name") { // not that of an inbox of the settings
		name = c.String("name")
	}
	if err := sharing.Read(c, name, &o); err != nil {
		return err
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(sharing.Serve(c, n, o, node.Offer{Second: c.Bool("control"), Max: c.Int("max")}))
}
