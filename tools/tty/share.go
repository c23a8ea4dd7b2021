package tty

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
	"mesh/tools/cmdline/sharing"
)

// defaultMax is how many viewers there may be at once if --max says nothing.
const defaultMax = 200

// shareFlags are those that go with --share.
func shareFlags() []cli.Flag {
	ttl := cmdline.TTL().(*cli.DurationFlag)
	ttl.Value, ttl.DefaultText = 0, "when the session ends"
	return []cli.Flag{
		&cli.StringFlag{Name: "size", Usage: "share: `sharer|writer|COLSxROWS`", DefaultText: "sharer; headless: writer, 80x24 at first"},
		&cli.BoolFlag{Name: "headless", Usage: "share: have no terminal of our own", DisableDefaultText: true},
		&cli.BoolFlag{Name: "control", Usage: "share: make a second token, that allows typing", DisableDefaultText: true},
		&cli.StringFlag{Name: "record", Usage: "share: record the output to `FILE`, as asciicast v2"},
		&cli.StringFlag{Name: "audit", Usage: "share: add to `FILE` who joins, leaves, and types how much"},
		cmdline.History(share.DefaultHistory),
		&cli.IntFlag{Name: "max", Value: defaultMax, Usage: "share: let in at most `N` viewers at a time"},
		cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), ttl,
	}
}

func shared(c *cli.Context, args, cmd []string) error {
	o, err := shareOptions(c, args, cmd)
	if err != nil {
		return err
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(sharing.Serve(c, n, o, node.Offer{Second: c.Bool("control"), Max: c.Int("max"), Passing: true}))
}

// shareOptions reads the flags.
func shareOptions(c *cli.Context, args, cmd []string) (o share.HostOptions, err error) {
	in, _ := c.App.Reader.(*os.File)
	out, _ := c.App.Writer.(*os.File)
	stream, headless := len(args) == 1 && args[0] == "-", c.Bool("headless")
	switch {
	case stream && (cmd != nil || headless):
		return o, proto.Errorf(proto.Usage, "either standard input or a command can be shared")
	case stream:
		o.Stream, o.Next = c.App.Reader, node.Stdout(c).Writer
		o.Cols, o.Rows = term.DefaultCols, term.DefaultRows
	case len(args) > 0:
		return o, cmdline.Hint(proto.Errorf(proto.Usage, "--share calls no PEER"), "mesh-tty --share [-- CMD…], or mesh-tty --share - for what comes on standard input")
	case headless:
		o, err = sharing.Headless(cmd)
	case !term.IsTerminal(in) || !term.IsTerminal(out):
		return o, cmdline.Hint(proto.Errorf(proto.Usage, "standard input and output are not a terminal"), "--headless shares without one")
	default:
		o.In, o.Out, o.Titles, o.Env = in, out, !c.Bool("quiet"), os.Environ()
		o.Command, err = sharing.Command(cmd)
	}
	if err != nil {
		return o, err
	}
	if c.Int("max") < 1 {
		return o, proto.Errorf(proto.Usage, "--max is at least 1")
	}
	o.Name, o.RecordTo, o.AuditTo = c.String("name"), c.String("record"), c.String("audit")
	o.History = int(cmdline.SizeOf(c, cmdline.HistoryName))
	o.Log = cmdline.Logger(c)
	if !headless && term.IsTerminal(out) {
		o.Cols, o.Rows = term.Size(out)
	}
	return o, size(c.String("size"), &o)
}

// size reads --size.
func size(text string, o *share.HostOptions) error {
	switch text {
	case "":
	case "sharer":
		o.Size = share.SizeSharer
	case "writer":
		o.Size = share.SizeWriter
	default:
		cols, rows, ok := strings.Cut(text, "x")
		var errs [2]error
		o.Cols, errs[0] = strconv.Atoi(cols)
		o.Rows, errs[1] = strconv.Atoi(rows)
		if !ok || errors.Join(errs[:]...) != nil || o.Cols < 2 || o.Rows < 1 || o.Cols > proto.MaxTermCols || o.Rows > proto.MaxTermRows {
			return cmdline.Hint(proto.Errorf(proto.Usage, "--size: %q is no size", text), "sharer, writer, or COLSxROWS such as 80x24")
		}
		o.Size = share.SizeFixed
	}
	return nil
}
