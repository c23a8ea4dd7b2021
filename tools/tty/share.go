package tty

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/pipe/term/pty"
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
	if runtime.GOOS == "windows" {
		return cmdline.Hint(proto.Errorf(proto.Usage, "sharing a terminal is not supported on Windows yet"), "mesh-tty PEER views one")
	}
	o := share.HostOptions{Command: cmd}
	switch {
	case len(args) == 1 && args[0] == "-" && cmd == nil:
		o.Stream = c.App.Reader
	case len(args) > 0:
		return cmdline.Hint(proto.Errorf(proto.Usage, "--share calls no PEER"), "mesh-tty --share [-- CMD…], or mesh-tty --share - for what comes on standard input")
	case cmd == nil:
		o.Command = []string{shell()}
	}
	if err := settle(c, &o); err != nil {
		return err
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(sharing.Serve(c, n, o, node.Offer{Second: c.Bool("control"), Max: c.Int("max"), Passing: true}))
}

// settle reads the flags.
func settle(c *cli.Context, o *share.HostOptions) error {
	o.Name, o.RecordTo, o.AuditTo = c.String("name"), c.String("record"), c.String("audit")
	o.History = int(cmdline.SizeOf(c, cmdline.HistoryName))
	o.Log = cmdline.Logger(c)
	if c.Int("max") < 1 {
		return proto.Errorf(proto.Usage, "--max is at least 1")
	}
	in, _ := c.App.Reader.(*os.File)
	out, _ := c.App.Writer.(*os.File)
	headless := c.Bool("headless")
	switch {
	case o.Stream != nil && headless:
		return proto.Errorf(proto.Usage, "--headless goes with a command")
	case o.Stream != nil:
		o.Out = out
	case !headless:
		if !term.IsTerminal(in) || !term.IsTerminal(out) {
			return cmdline.Hint(proto.Errorf(proto.Usage, "standard input and output are not a terminal"), "--headless shares without one")
		}
		o.In, o.Out, o.Titles = in, out, !c.Bool("quiet")
	}
	o.Env = os.Environ()
	if o.Answers = headless; headless {
		o.Env = pty.Environ(o.Env, "TERM=xterm-256color", "COLORTERM=truecolor")
	}
	return size(c, o)
}

// size reads --size.
func size(c *cli.Context, o *share.HostOptions) error {
	o.Cols, o.Rows = term.DefaultCols, term.DefaultRows
	if term.IsTerminal(o.Out) {
		o.Cols, o.Rows = term.Size(o.Out)
	}
	switch text := c.String("size"); text {
	case "":
		if c.Bool("headless") {
			o.Size = share.SizeWriter
		}
	case "sharer":
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

// shell is what is shared if nothing is said.
func shell() string {
	if s := os.Getenv("SHELL"); s != "" {
		return s
	}
	return "/bin/sh"
}
