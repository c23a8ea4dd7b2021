// Package token is mesh-token: it makes, shows and revokes tokens, prints the id of
// this node, and keeps the address book. Results go to standard output.
package token

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "make, show and revoke tokens; keep the address book",
		ArgsUsage: "COMMAND",
		UsageText: "mesh-token id --words                    # to compare a key over the phone\nmesh-token allow alice@hub.example send  # she may send to this machine\nmesh-token new --allow recv > for-bob    # for a mesh-listen that runs on\n",
		Subcommands: []*cli.Command{
			{
				Name: "id", Usage: "print the id of this node", Action: action(readIDOptions, printID),
				Flags: []cli.Flag{&cli.BoolFlag{Name: "words", Usage: "print eight words instead, by which people compare the key", DisableDefaultText: true}},
			},
			newCommand(),
			showCommand(),
			{
				Name: "revoke", ArgsUsage: "ID|@FILE|VOUCHER|NAME|NODEID", Action: action(readRevoke, revoke),
				Usage: "end a token, a voucher or a node's rights, and the links that came of it",
			},
			peerCommand(),
			{
				Name: "allow", ArgsUsage: "NODEID|NAME|NAME@HOST [CAPS]",
				Flags:       []cli.Flag{cmdline.Hub(), cmdline.Trust()},
				Description: "NAME@HOST is looked up at the hub HOST of this node: the words of its key are\nshown, and with a yes the key gets this name in the address book.\nCAPS, with commas between: send: it may send to this machine; recv: it may take\nfrom this machine; tty:view: it may look at a terminal that is shared here;\ntty:control: it may type there too. They replace what was allowed before.",
				Usage:       "let a node do CAPS here without a token: send if left out; none: nothing",
				Action:      cmdline.HomeAction(readAllow, allow),
			},
			{
				Name: "allowed", Action: action(readNothing, printAllowed),
				Usage: "print what each node may do here without a token",
			},
		},
	}
}

// action is [cmdline.HomeAction] for work that does not wait.
func action[O any](read func(*cli.Context) (O, error), run func(home string, o O, s cmdline.Streams) error) cli.ActionFunc {
	return cmdline.HomeAction(read, func(_ context.Context, home string, o O, s cmdline.Streams) error { return run(home, o, s) })
}

// nothing is the options of a subcommand without arguments and flags.
type nothing struct{}

func readNothing(c *cli.Context) (nothing, error) {
	_, err := cmdline.Args(c, 0, 0)
	return nothing{}, err
}

// openState returns the node key in home, which is made at the first use, and the
// address book.
func openState(home string) (*identity.Key, identity.Book, error) {
	key, err := node.LoadKey(home)
	return key, identity.Book{Dir: home}, err
}

// usage gives an error about an argument its exit code.
func usage(err error) error { return &proto.Error{Code: proto.Usage, Err: err} }

// idOptions are the flags of mesh-token id.
type idOptions struct {
	words bool
}

func readIDOptions(c *cli.Context) (idOptions, error) {
	_, err := cmdline.Args(c, 0, 0)
	return idOptions{c.Bool("words")}, err
}

func printID(home string, o idOptions, s cmdline.Streams) error {
	key, _, err := openState(home)
	if err != nil {
		return err
	}
	if o.words {
		return s.PrintLine(strings.Join(hub.KeyWords(key.ID()), "-"))
	}
	return s.PrintLine(key.ID().String())
}
