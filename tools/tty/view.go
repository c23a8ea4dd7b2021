package tty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/pipe/term/host"
	"mesh/pipe/term/view"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// forms are the forms that a flag selects.
var forms = []view.Form{view.Raw, view.Plain, view.Cast, view.JSON, view.Once}

// viewFlags are the flags that exclude --share.
func viewFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: string(view.Raw), Usage: "view: write the output as it is; to a terminal, without dangerous sequences", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Plain), Usage: "view: write the output as lines of text", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Cast), Usage: "view: write a recording, as asciicast v2", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.JSON), Usage: "view: write a JSON object for each event", DisableDefaultText: true},
		&cli.BoolFlag{Name: string(view.Once), Usage: "view: write the screen as text, and end", DisableDefaultText: true},
		&cli.BoolFlag{Name: "input", Usage: "view: type standard input, and end when the commands in it have ended", DisableDefaultText: true},
		&cli.BoolFlag{Name: "read-only", Usage: "view: type nothing, even if it is allowed", DisableDefaultText: true},
		&cli.BoolFlag{Name: "backlog", Usage: "view: begin with all output that the sharer still has; not for the screen", DisableDefaultText: true},
		&cli.BoolFlag{Name: "strict", Usage: "view: fail (12) if output was missed", DisableDefaultText: true},
		&cli.BoolFlag{Name: "exit-status", Usage: "view: end with the status of the shared command", DisableDefaultText: true},
		&cli.StringFlag{Name: "escape", Aliases: []string{"e"}, Value: "~", Usage: "view: `CHAR` after a newline begins a command; none: no commands"},
		&cli.BoolFlag{Name: "clipboard", Usage: "view: let the shared programs set the clipboard", DisableDefaultText: true},
		cmdline.Linger(), cmdline.Trust(), cmdline.Wait(),
	}
}

// viewOptions say which terminal to view, and how.
type viewOptions struct {
	node nodeflags.Options
	peer node.PeerText
	wait time.Duration

	form       view.Form // "": the screen on a terminal, else raw bytes
	name       string    // of the viewer
	input      bool      // type standard input, even if it is not a terminal
	readOnly   bool
	clipboard  bool // the shared programs may set it
	backlog    bool
	strict     bool
	linger     time.Duration
	exitStatus bool // end with the status of the shared command
	titles     bool // set the title of the terminal
	escape     byte // 0 for none

	term, colorTerm string // TERM and COLORTERM of the environment
	session         string // the session that this process runs in
}

func readView(c *cli.Context, peer node.PeerText) (viewOptions, error) {
	o := viewOptions{
		node: nodeflags.Read(c).ForTerminal(), peer: peer, wait: c.Duration("wait"),
		name: c.String("as"), clipboard: c.Bool("clipboard"), input: c.Bool("input"), readOnly: c.Bool("read-only"), backlog: c.Bool("backlog"),
		strict: c.Bool("strict"), exitStatus: c.Bool("exit-status"), linger: c.Duration("linger"), titles: !c.Bool("quiet"),
		term: os.Getenv("TERM"), colorTerm: os.Getenv("COLORTERM"), session: os.Getenv(host.EnvSession),
	}
	for _, f := range forms {
		if c.Bool(string(f)) {
			if o.form != "" {
				return o, proto.Errorf(proto.Usage, "either --%s or --%s", o.form, f)
			}
			o.form = f
		}
	}
	switch e := c.String("escape"); {
	case len(e) == 1 && e[0] > ' ' && e[0] < 0x7f:
		o.escape = e[0]
	case e != "none":
		return o, proto.Errorf(proto.Usage, "--escape takes one ASCII character, or none")
	}
	if o.exitStatus && (o.form == view.Once || o.linger > 0) {
		return o, proto.Errorf(proto.Usage, "--exit-status stays to the end of the shared command: it goes neither with --once nor with --linger")
	}
	if o.clipboard && o.form != "" {
		return o, proto.Errorf(proto.Usage, "--clipboard is for the screen: it does not go with --%s", o.form)
	}
	if o.input && o.readOnly {
		return o, proto.Errorf(proto.Usage, "either --input or --read-only")
	}
	return o, nil
}

// streams returns the options of the view on these streams.
func (o viewOptions) streams(s cmdline.Streams) view.Options {
	v := view.Options{
		Form: o.form, Out: s.Out, ReadOnly: o.readOnly, Name: o.name, History: o.backlog, Strict: o.strict,
		Linger: o.linger, ToEnd: o.exitStatus, Escape: o.escape, Term: o.term, ColorTerm: o.colorTerm, Session: o.session,
		Notice: func(text string) { fmt.Fprintf(s.Err, "%s: %s\n", s.Name, proto.HideSecrets(text)) },
	}
	if o.clipboard {
		v.Copy = func(selections, text string) string { return term.CopySequence(selections, text, os.Getenv) }
	}
	terminal := term.IsTerminal(s.Out)
	switch {
	case v.Form == "" && terminal:
		v.Form = view.Screen
	case v.Form == "":
		v.Form = view.Raw
	}
	if !terminal || v.Form != view.Screen && v.Form != view.Raw {
		v.Out = s.Sink().Writer
	}
	if o.input || v.Form == view.Screen && term.IsTerminal(s.In) {
		v.In, _ = s.In.(*os.File)
	}
	return v
}

// runView views until the shared command ends, the viewer leaves or ctx ends.
func runView(ctx context.Context, o viewOptions, s cmdline.Streams) error {
	n, err := o.node.Open(s)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer s.Sink().WatchLoss(ctx, fail)() // a silent session causes no write that could fail
	end, err := viewPeer(ctx, n, o, o.streams(s))
	if err == nil && o.exitStatus && end.Code != 0 {
		err = cmdline.Silent(proto.Errorf(proto.Code(end.Code), "the shared command ended with status %d", end.Code))
	}
	if err == nil && o.exitStatus && !end.Exited {
		err = proto.Errorf(proto.Truncated, "the view ended before the shared command")
	}
	return n.Close(err)
}

func viewPeer(ctx context.Context, n *node.Node, o viewOptions, v view.Options) (end view.End, err error) {
	peer, err := n.Peer(ctx, o.peer)
	if err != nil {
		return end, err
	}
	l, err := n.Dial(ctx, peer, node.Request{
		Want: proto.CapTTYView | proto.CapTTYControl, Need: proto.CapTTYView, Kind: wire.KindTTY, Wait: o.wait,
	})
	if err != nil {
		return end, err
	}
	var broken func(bool)
	v.Broken, broken = n.Outages(l)
	v.TellsIdle = l.Minor >= 1
	if o.titles {
		v.Peer = n.Party(l).Label()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = n.Dialogue(ctx, l, broken, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) (err error) {
		end, err = view.Run(ctx, from, to, v)
		if errors.Is(err, view.ErrLeft) {
			cancel(err) // do not wait for a broken link to resume
		}
		return err
	})
	switch {
	case errors.Is(err, view.ErrLeft):
		return end, nil
	case proto.CodeOf(err) == proto.Declined && !errors.Is(err, view.ErrInside):
		return end, proto.Hint(err, "the sharer has disconnected this node; it is refused until the session ends")
	}
	return end, err
}
