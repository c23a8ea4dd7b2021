// Package hub is mesh-hub: it runs a hub, through which nodes find each other by name,
// and has the commands of its admin. Results go to standard output.
package hub

import (
	"slices"

	"github.com/urfave/cli/v2"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:        "hub",
		Usage:       "use or run a hub, through which nodes find each other by name",
		ArgsUsage:   "COMMAND",
		UsageText:   "mesh-hub serve                # prints what members run\nmesh-hub invite bob           # prints an invite: mi1…\nmesh-hub join mi1…            # on bob's machine; then: mesh-cat bob photos\n",
		Subcommands: slices.Concat(memberCommands(), adminCommands(), []*cli.Command{apiTokenCommand(), serveCommand(), relayCommand(), limitsCommand()}),
	}
}
