package tty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/pipe/term/host"
	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// forms are the flags that choose a form.
var forms = []view.Form{view.Raw, view.Plain, view.Cast, view.JSON, view.Once}

func viewFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: string(view.Raw), Usage: "view: write the output as it is, also to a terminal (less what is dangerous there)", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Plain), Usage: "view: write the output as lines of text", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Cast), Usage: "view: write a recording, as asciicast v2", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.JSON), Usage: "view: write a JSON object for each event", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Once), Usage: "view: write the screen as text, and end", DisableDefaultText: true},
		&cli.BoolFlag{Name: "input", Usage: "view: type what comes on standard input, which is no terminal, and end with it", DisableDefaultText: true},
		&cli.BoolFlag{Name: "read-only", Usage: "view: type nothing, even where it is allowed", DisableDefaultText: true},
		&cli.BoolFlag{Name: "backlog", Usage: "view: begin with all output that the sharer still has (not on the screen)", DisableDefaultText: true},
		&cli.BoolFlag{Name: "strict", Usage: "view: fail (12) if output was missed", DisableDefaultText: true},
		&cli.BoolFlag{Name: "exit-status", Usage: "view: end with the status of the shared command", DisableDefaultText: true},
		&cli.StringFlag{Name: "escape", Aliases: []string{"e"}, Value: "~", Usage: "view: `CHAR` begins a command after a newline, none for no commands"},
		cmdline.Wait(),
	}
}

func viewed(c *cli.Context, n *node.Node, args []string) error {
	o, err := viewOptions(c)
	if err != nil {
		return err
	}
	peer, err := n.Peer(c.Context, node.PeerOf(args, os.Getenv(node.EnvPeer)))
	if err != nil {
		return err
	}
	l, err := n.Dial(c.Context, peer, node.Request{
		Want: proto.CapTTYView | proto.CapTTYControl, Need: proto.CapTTYView, Kind: wire.KindTTY, Wait: c.Duration("wait"),
	})
	if err != nil {
		return err
	}
	var broken func(bool)
	o.Broken, broken = n.Outages(l)
	if !c.Bool("quiet") {
		o.Peer = n.Party(l).Label()
	}
	var end view.End
	ctx, cancel := context.WithCancelCause(c.Context)
	defer cancel(nil)
	err = n.Dialogue(ctx, l, broken, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) (err error) {
		end, err = view.Run(ctx, from, to, o)
		if errors.Is(err, view.ErrLeft) {
			cancel(err) // does not wait for the link to come back
		}
		return err
	})
	switch {
	case errors.Is(err, view.ErrLeft):
		err = nil
	case proto.CodeOf(err) == proto.Declined && !errors.Is(err, view.ErrInside):
		err = proto.Hint(err, "the sharer has sent this node away, for as long as the session lasts")
	}
	if err == nil && c.Bool("exit-status") && end.Code != 0 {
		err = cmdline.Silent(proto.Errorf(proto.Code(end.Code), "the shared command ended with status %d", end.Code))
	}
	return err
}

// viewOptions reads the flags.
func viewOptions(c *cli.Context) (view.Options, error) {
	in, _ := c.App.Reader.(*os.File)
	terminal := term.IsTerminal(c.App.Writer)
	o := view.Options{
		Out: c.App.Writer, ReadOnly: c.Bool("read-only"), Name: c.String("name"), History: c.Bool("backlog"), Strict: c.Bool("strict"),
		Session: os.Getenv(host.EnvSession), Term: os.Getenv("TERM"),
		Notice: func(text string) { fmt.Fprintf(c.App.ErrWriter, "%s: %s\n", cmdline.Name(c), text) },
	}
	for _, f := range forms {
		if c.Bool(string(f)) {
			if o.Form != "" {
				return o, proto.Errorf(proto.Usage, "either --%s or --%s", o.Form, f)
			}
			o.Form = f
		}
	}
	switch {
	case o.Form == "" && terminal:
		o.Form = view.Screen
	case o.Form == "":
		o.Form = view.Raw
	}
	if !terminal || o.Form != view.Screen && o.Form != view.Raw {
		o.Out = cmdline.StreamsOf(c).Sink().Writer
	}
	switch e := c.String("escape"); {
	case len(e) == 1 && e[0] > ' ' && e[0] < 0x7f:
		o.Escape = e[0]
	case e != "none":
		return o, proto.Errorf(proto.Usage, "--escape takes one ASCII character, or none")
	}
	switch typed := term.IsTerminal(in); {
	case c.Bool("input") && o.ReadOnly:
		return o, proto.Errorf(proto.Usage, "either --input or --read-only")
	case c.Bool("input") || typed && o.Form == view.Screen:
		o.In = in
	}
	return o, nil
}
