package tty

import (
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/pipe/term/host"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/nodeflags"
	"mesh/tools/sharing"
)

// defaultMax is how many viewers there may be at once if --max says nothing.
const defaultMax = 200

// shareFlags are those that go with --share.
func shareFlags() []cli.Flag {
	ttl := cmdline.TTL()
	ttl.Value, ttl.DefaultText = new(cmdline.Duration), "when the session ends"
	return append(
		sharing.Flags("share"),
		&cli.BoolFlag{Name: "headless", Usage: "share: have no terminal of our own", DisableDefaultText: true},
		&cli.IntFlag{Name: "max", Value: defaultMax, Usage: "share: let in at most `N` viewers at a time"},
		cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), ttl,
	)
}

func shared(c *cli.Context, args, cmd []string) error {
	o, err := shareOptions(c, args, cmd)
	if err != nil {
		return err
	}
	link := nodeflags.Read(c).ForTerminal()
	link.Listen = c.String("listen")
	n, err := link.Open(cmdline.StreamsOf(c))
	if err != nil {
		return err
	}
	offer := nodeflags.Offer(c)
	offer.Tokens, offer.Max, offer.Temporary = sharing.Tokens(c.Bool("control")), c.Int("max"), true
	return n.Close(sharing.Serve(c.Context, n, cmdline.StreamsOf(c), o, offer))
}

// shareOptions reads the flags.
func shareOptions(c *cli.Context, args, cmd []string) (o host.HostOptions, err error) {
	in, _ := c.App.Reader.(*os.File)
	out, _ := c.App.Writer.(*os.File)
	stream, headless := len(args) == 1 && args[0] == "-", c.Bool("headless")
	switch {
	case stream && (cmd != nil || headless):
		return o, proto.Errorf(proto.Usage, "either standard input or a command can be shared")
	case stream:
		o.Stream, o.Next = c.App.Reader, cmdline.StreamsOf(c).Sink().Writer
		o.Cols, o.Rows = term.DefaultCols, term.DefaultRows
	case len(args) > 0:
		return o, proto.Hint(proto.Errorf(proto.Usage, "--share calls no PEER"), "mesh-tty --share [-- CMD…], or mesh-tty --share - for what comes on standard input")
	case headless:
		o, err = sharing.Headless(cmd)
	case !term.IsTerminal(in) || !term.IsTerminal(out):
		return o, proto.Hint(proto.Errorf(proto.Usage, "standard input and output are not a terminal"), "--headless shares without one")
	default:
		o.In, o.Out, o.Titles, o.Env, o.Term = in, out, !c.Bool("quiet"), os.Environ(), os.Getenv("TERM")
		o.Command, err = sharing.Command(cmd)
	}
	if err != nil {
		return o, err
	}
	if c.Int("max") < 1 {
		return o, proto.Errorf(proto.Usage, "--max is at least 1")
	}
	if !headless && term.IsTerminal(out) {
		o.Cols, o.Rows = term.Size(out)
	}
	return o, sharing.Read(c, c.String("name"), &o)
}
