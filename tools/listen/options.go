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
	"mesh/tools/sharing"
)

// mode is what mesh-listen does.
type mode int

const (
	join     mode = iota // one peer to standard input and output
	serve                // each peer to a run of the command
	inbox                // store what peers send
	terminal             // share a terminal
)

// options are the flags and arguments of mesh-listen.
type options struct {
	mode    mode
	node    nodeflags.Options
	offer   node.Offer
	command []string
	once    bool

	terminal sharing.Options // of mode terminal

	// Of mode inbox.
	inbox inboxFlags
	// reread returns the flags as the settings have them now.
	reread func(context.Context) (inboxFlags, error)
	// hangups makes SIGHUP a request to read the settings again.
	hangups func() (<-chan os.Signal, func())

	given     map[string]bool // the flags on the command line, by their first names
	wantInbox bool            // --inbox, or the settings, name a folder
	wantTTY   bool
}

func optionsOf(c *cli.Context) (options, error) {
	_, cmd, err := cmdline.SplitCommand(c, 0, 0)
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), offer: nodeflags.Offer(c), command: cmd, once: c.Bool("once"),
		inbox: readInbox(c), wantInbox: c.String("inbox") != "", wantTTY: c.Bool("tty"), given: cmdline.GivenFlags(c),
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
	case o.wantTTY:
		o.mode = terminal
	case cmd != nil: // before an inbox of the settings
		o.mode = serve
	case o.wantInbox:
		o.mode = inbox
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.mode == terminal {
		return o, o.readTerminal(c)
	}
	if o.mode == serve {
		return o, command.Check(cmd)
	}
	return o, nil
}

// check refuses flags and arguments that do not go together.
func (o options) check() error {
	switch {
	case (o.command != nil || o.wantTTY) && o.wantInbox && o.given["inbox"]:
		return proto.Errorf(proto.Usage, "either --inbox or a command or a terminal")
	case o.wantTTY && o.once:
		return proto.Errorf(proto.Usage, "either --tty or --once")
	case o.mode == join && o.given["max"], (o.mode == join || o.mode == inbox) && o.given["once"]:
		return proto.Hint(proto.Errorf(proto.Usage, "--max and --once go with a command"), "mesh-listen --once -- CMD…")
	}
	for _, f := range sharing.Flags("tty") {
		if flag := f.Names()[0]; !o.wantTTY && o.given[flag] {
			return proto.Errorf(proto.Usage, "--%s goes with --tty", flag)
		}
	}
	for _, flag := range []string{"by-peer", "on-receive", "on-receive-timeout", "force", "rename", "portable", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if o.mode != inbox && o.given[flag] {
			return proto.Errorf(proto.Usage, "--%s goes with --inbox", flag)
		}
	}
	if o.mode != inbox && o.mode != terminal && o.given["name"] {
		return proto.Errorf(proto.Usage, "--name goes with --inbox or --tty")
	}
	return nil
}

// readTerminal reads the flags of a shared terminal.
func (o *options) readTerminal(c *cli.Context) error {
	o.node = o.node.ForTerminal()
	var err error
	if o.terminal, err = sharing.Read(c); err != nil {
		return err
	}
	o.terminal.Command, o.terminal.Headless = o.command, true
	if o.given["name"] { // the settings' name is for an inbox
		o.terminal.Name = c.String("name")
	}
	return o.terminal.Check(cmdline.StreamsOf(c))
}
