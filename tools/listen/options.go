package listen

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/ratelimit"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/command"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/outgoing"
)

// mode is what mesh-listen does.
type mode int

const (
	join  mode = iota // one peer to standard input and output
	serve             // each peer to a run of the command
	offer             // let peers take files
	inbox             // store what peers send
)

// options are the flags and arguments of mesh-listen.
type options struct {
	mode    mode
	node    nodeflags.Options
	offer   node.Offer
	command []string
	once    bool
	files   outgoing.Options // of mode offer
	all     bool             // offer them to all peers
	metrics string           // HOST:PORT; "" for none

	// Of mode inbox.
	inbox inboxFlags
	// reread returns the flags as the settings have them now.
	reread func(context.Context) (rereadFlags, error)
	// hangups makes SIGHUP a request to read the settings again.
	hangups func() (<-chan os.Signal, func())

	given     map[string]bool // the flags on the command line, by their first names
	wantInbox bool            // --inbox, or the settings, name a folder
}

// rereadFlags are the flags that SIGHUP applies.
type rereadFlags struct {
	inbox inboxFlags
	at    node.AtHubs
	limit ratelimit.Schedule
}

func optionsOf(c *cli.Context) (options, error) {
	names, cmd, err := cmdline.SplitCommand(c, 0, -1)
	if err != nil {
		return options{}, err
	}
	o := options{
		node: nodeflags.Read(c), offer: nodeflags.Offer(c), command: cmd, once: c.Bool("once"),
		files: outgoing.Read(c, names), all: c.Bool("serve"),
		inbox: readInbox(c), wantInbox: c.String("inbox") != "", given: cmdline.GivenFlags(c),
		reread: func(context.Context) (f rereadFlags, err error) {
			now, err := cmdline.Reread(c)
			if err == nil {
				f.inbox = readInbox(now)
				f.at, err = nodeflags.AtHubs(now)
			}
			if err == nil {
				f.limit, err = cmdline.ParseLimit(now.String("limit-rate"))
			}
			return f, err
		},
		hangups: func() (<-chan os.Signal, func()) { return cmdline.Hangups(c) },
	}
	o.node.Listen, o.offer.Max = c.String("listen"), c.Int("max")
	if o.metrics, err = cmdline.MetricsAddr(c); err != nil {
		return o, err
	}
	switch {
	case cmd != nil: // before an inbox of the settings
		o.mode = serve
	case o.files.Names != nil:
		o.mode = offer
	case o.wantInbox:
		o.mode = inbox
	}
	if err := o.check(); err != nil {
		return o, err
	}
	o.node.Reloads = o.lasts()
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
	case o.files.Names != nil && o.command != nil:
		return proto.Errorf(proto.Usage, "either files or a command")
	case o.files.Names != nil && o.wantInbox && o.given["inbox"]:
		return proto.Errorf(proto.Usage, "either --inbox or files")
	case o.all && o.files.Names == nil:
		return proto.Hint(proto.Errorf(proto.Usage, "--serve goes with files"), "mesh-listen --serve FILE…")
	case o.mode == offer && !o.all && o.given["max"], o.mode == offer && o.given["once"]:
		return proto.Hint(proto.Errorf(proto.Usage, "files are offered to one peer, or with --serve to --max peers at a time"), "mesh-listen --serve FILE…")
	case o.mode == join && o.given["max"], (o.mode == join || o.mode == inbox) && o.given["once"]:
		return proto.Hint(proto.Errorf(proto.Usage, "--max and --once go with a command"), "mesh-listen --once -- CMD…")
	case !o.lasts() && o.given[cmdline.MetricsName]:
		return proto.Errorf(proto.Usage, "--metrics is for a listener that runs until it is stopped: --inbox, --serve, or a command without --once")
	}
	for _, flag := range []string{"name", "by-peer", "on-receive", "on-receive-timeout", "force", "rename", "portable", "any-names", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if o.mode != inbox && o.given[flag] {
			return proto.Errorf(proto.Usage, "--%s goes with --inbox", flag)
		}
	}
	return o.files.Check("mesh-listen", "")
}

// tuneProcess sets the Go runtime up for the mode.
func (o options) tuneProcess() {
	switch o.mode {
	case join, serve:
		cmdline.Bulk()
	case offer:
		o.files.Tune()
	}
}
