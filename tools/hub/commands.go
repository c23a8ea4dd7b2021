package hub

import (
	"context"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
)

// adminCommands are the commands for the machine on which the hub runs.
func adminCommands() []*cli.Command {
	return []*cli.Command{inviteCommand()}
}

// adminAction returns the action of a command for admins. read turns arguments and flags
// into options and checks them, run does the work.
func adminAction[O any](read func(*cli.Context) (O, error), run func(context.Context, *admin, O, cmdline.Streams) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		o, err := read(c)
		if err != nil {
			return err
		}
		home, err := cmdline.Home()
		if err != nil {
			return err
		}
		return run(c.Context, newAdmin(home), o, cmdline.StreamsOf(c))
	}
}
