package tty

import (
	"fmt"
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

// requests lists what a session can be asked, and what it is asked about.
var requests = []struct {
	name, about, usage string
	least, most        int // operands
}{
	{"list", "", "print a line for each viewer", 0, 0},
	{"grant", "VIEWER", "let a viewer type", 1, 1},
	{"revoke", "[VIEWER]", "let a viewer, or all of them, no longer type", 0, 1},
	{"kick", "VIEWER", "send a viewer away", 1, 1},
	{"pause", "", "show viewers nothing new", 0, 0},
	{"resume", "", "show viewers what there is again", 0, 0},
	{"mark", "[TEXT]", "put a mark into the recording", 0, 1},
}

// ctlCommand is what a shared session is told from inside.
func ctlCommand() *cli.Command {
	ctl := &cli.Command{
		Name:      "ctl",
		Usage:     "tell the session that this shell is shared in what to do",
		ArgsUsage: "REQUEST",
	}
	for _, r := range requests {
		ctl.Subcommands = append(ctl.Subcommands, &cli.Command{
			Name: r.name, Usage: r.usage, ArgsUsage: r.about,
			Action: func(c *cli.Context) error {
				operands, err := cmdline.Args(c, r.least, r.most)
				if err != nil {
					return err
				}
				return ask(c, r.name, operands)
			},
		})
	}
	return ctl
}

// ask asks the session that this shell is shared in.
func ask(c *cli.Context, do string, operands []string) error {
	socket := os.Getenv(host.EnvSocket)
	if socket == "" {
		return proto.Hint(proto.Errorf(proto.Usage, "this shell is not shared"), outside())
	}
	r := share.Request{Do: do}
	switch {
	case len(operands) == 0:
	case do == "mark":
		r.Text = operands[0]
	default:
		r.Who = operands[0]
	}
	reply, err := share.Ask(c.Context, socket, r)
	if r.Who != "" && proto.CodeOf(err) == proto.Usage {
		return proto.Hint(err, "a viewer is its number, or its name with the key behind it, as mesh-tty ctl list has them")
	}
	if err != nil || do != "list" {
		return err
	}
	return printViewers(c, reply.Viewers)
}

// outside says what to do outside of a session: the user's own ones can be named.
func outside() string {
	if names := sharing.Sockets(); len(names) > 0 {
		return fmt.Sprintf("mesh-tty ctl is for inside of mesh-tty --share, or for %s=%s", host.EnvSocket, proto.EscapeText(strings.Join(names, " or ")))
	}
	return "mesh-tty ctl is for inside of mesh-tty --share"
}

// printViewers writes a line for each viewer: number, name, rights, mode, address,
// how long it is here, how much it typed, how far it is behind, the size of its
// terminal, and whether it asks for the right to type.
func printViewers(c *cli.Context, viewers []share.Info) error {
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
			time.Since(v.Joined).Round(time.Second), v.Typed, v.Behind, size, asks)
	}
	if _, err := c.App.Writer.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
	}
	return nil
}
