package listen

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// mode is what mesh-listen does.
type mode int

const (
	join  mode = iota // one peer to standard input and output
	serve             // each peer to a run of the command
	inbox             // store what peers send
)

// options are the flags and arguments of mesh-listen.
type options struct {
	mode    mode
	node    nodeflags.Options
	offer   node.Offer
	command []string
	once    bool

	// Of mode inbox.
	inbox inboxFlags
	// reread returns the flags as the settings have them now.
	reread func(context.Context) (inboxFlags, error)
	// hangups makes SIGHUP a request to read the settings again.
	hangups func() (<-chan os.Signal, func())

	given     map[string]bool // the flags on the command line, by their first names
	wantInbox bool            // --inbox, or the settings, name a folder
}

func optionsOf(c *cli.Context) (options, error) {
	_, cmd, err := cmdline.SplitCommand(c, 0, 0)
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), offer: nodeflags.Offer(c), command: cmd, once: c.Bool("once"),
		inbox: readInbox(c), wantInbox: c.String("inbox") != "", given: cmdline.GivenFlags(c),
		reread: func(ctx context.Context) (inboxFlags, error) {
			now, err := cmdline.Reread(c)
			if err != nil {
				return inboxFlags{}, err
			}
			return readInbox(now), nil
		},
		hangups: func() (<-chan os.Signal, func()) { return cmdline.Hangups(c) },
	}
	o.node.Listen, o.offer.Max = c.String("listen"), c.Int("max")
	switch {
	case cmd != nil: // before an inbox of the settings
		o.mode = serve
	case o.wantInbox:
		o.mode = inbox
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.mode == serve {
		return o, command.Check(cmd)
	}
	return o, nil
}

// check refuses flags and arguments that do not go together.
func (o options) check() error {
	switch {
	case o.command != nil && o.wantInbox && o.given["inbox"]:
		return proto.Errorf(proto.Usage, "either --inbox or a command")
	case o.mode == join && o.given["max"], (o.mode == join || o.mode == inbox) && o.given["once"]:
		return proto.Hint(proto.Errorf(proto.Usage, "--max and --once go with a command"), "mesh-listen --once -- CMD…")
	}
	for _, flag := range []string{"name", "by-peer", "on-receive", "on-receive-timeout", "force", "rename", "portable", "any-names", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if o.mode != inbox && o.given[flag] {
			return proto.Errorf(proto.Usage, "--%s goes with --inbox", flag)
		}
	}
	return nil
}
