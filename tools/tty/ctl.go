package tty

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/host"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/sharing"
)

// requests lists the requests to a session, and their operands.
var requests = []struct {
	name, operand, usage string
	least, most          int // operands
}{
	{"list", "", "print a line for each viewer", 0, 0},
	{"grant", "VIEWER", "let a viewer type", 1, 1},
	{"revoke", "[VIEWER]", "take the right to type from a viewer, or from all", 0, 1},
	{"kick", "VIEWER", "disconnect a viewer, and refuse it from now on", 1, 1},
	{"pause", "", "show viewers no new output", 0, 0},
	{"resume", "", "show viewers the output again", 0, 0},
	{"mark", "[TEXT]", "put a mark into the recording", 0, 1},
	{"token", "", "show the tokens to the sharer, but not to viewers", 0, 0},
}

// ctlCommand is mesh-tty ctl, for use inside a shared terminal.
func ctlCommand() *cli.Command {
	ctl := &cli.Command{
		Name:      "ctl",
		Usage:     "control the session that shares this shell",
		ArgsUsage: "REQUEST",
	}
	for _, r := range requests {
		ctl.Subcommands = append(ctl.Subcommands, &cli.Command{
			Name: r.name, Usage: r.usage, ArgsUsage: r.operand,
			Action: func(c *cli.Context) error {
				o, err := readControl(c, r.name, r.least, r.most)
				if err != nil {
					return err
				}
				return control(c.Context, o, cmdline.StreamsOf(c))
			},
		})
	}
	return ctl
}

// controlOptions are a request, and the socket of the session that gets it.
type controlOptions struct {
	socket  string // "": this shell is not shared
	request share.Request
	dir     string // with the sockets of this user's sessions
}

func readControl(c *cli.Context, name string, least, most int) (controlOptions, error) {
	o := controlOptions{socket: os.Getenv(host.EnvSocket), request: share.Request{Do: name, Inside: name == "token" && os.Getenv(host.EnvSession) != ""}}
	operands, err := cmdline.Args(c, least, most)
	if err != nil {
		return o, err
	}
	switch {
	case len(operands) == 0:
	case name == "mark":
		o.request.Text = operands[0]
	default:
		o.request.Who = operands[0]
	}
	if o.socket == "" {
		o.dir, _ = cmdline.SocketDir() // for a hint only
	}
	return o, nil
}

// control sends the request and prints the reply.
func control(ctx context.Context, o controlOptions, s cmdline.Streams) error {
	if o.socket == "" {
		return proto.Hint(proto.Errorf(proto.Usage, "this shell is not shared"), outsideHint(o.dir))
	}
	reply, err := share.Ask(ctx, o.socket, o.request)
	if o.request.Who != "" && proto.CodeOf(err) == proto.Usage {
		return proto.Hint(err, "VIEWER is the number or the name that mesh-tty ctl list prints")
	}
	switch {
	case proto.CodeOf(err) == proto.Usage && o.request.Do == "token":
		return proto.Hint(err, "in another terminal, run: "+host.EnvSocket+"="+proto.EscapeText(o.socket)+" mesh-tty ctl token")
	case err != nil:
		return err
	case reply.Closed:
		fmt.Fprintf(s.Err, "%s: the token of this viewer admits no new nodes any more; for others, mesh-tty ctl token makes another one\n", s.Name)
	}
	var lines string
	switch o.request.Do {
	case "list":
		lines = viewerLines(reply.Viewers, time.Now())
	case "token":
		for _, t := range reply.Tokens {
			lines += t.Rights + "\t" + t.Text + "\n"
		}
	}
	if _, err := io.WriteString(s.Out, lines); err != nil {
		return fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
	}
	return nil
}

// outsideHint says where ctl works. It names the sessions that run.
func outsideHint(dir string) string {
	hint := "mesh-tty ctl works inside of mesh-tty --share"
	if dir == "" {
		return hint
	}
	if names := sharing.Sockets(dir); len(names) > 0 {
		hint += fmt.Sprintf(", or with %s=%s", host.EnvSocket, proto.EscapeText(strings.Join(names, " or ")))
	}
	return hint
}

// viewerLines returns a line for each viewer: number, name, rights, mode, address, the
// time since it joined, the bytes that it typed, the bytes that it is behind, the size
// of its terminal, and whether it asks for the right to type.
func viewerLines(viewers []share.Info, now time.Time) string {
	var b strings.Builder
	for _, v := range viewers {
		size, asks := "-", "-"
		if v.Cols > 0 {
			size = fmt.Sprintf("%dx%d", v.Cols, v.Rows)
		}
		if v.Asks {
			asks = "asks"
		}
		fmt.Fprintf(&b, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", v.Number, v.Name, v.Rights, v.Mode, v.Addr,
			now.Sub(v.Joined).Round(time.Second), v.Typed, v.Behind, size, asks)
	}
	return b.String()
}
