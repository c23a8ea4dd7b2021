package tty

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/sharing"
)

// ctlCommand is what a shared session is told from inside.
func ctlCommand() *cli.Command {
	return &cli.Command{
		Name:      "ctl",
		Usage:     "tell the session that this shell is shared in what to do",
		ArgsUsage: "list | grant VIEWER | revoke [VIEWER] | kick VIEWER | pause | resume | mark [TEXT]",
		Action:    ctl,
	}
}

// requests lists what can be asked: how many operands there may be.
var requests = map[string]struct{ least, most int }{
	"list": {0, 0}, "grant": {1, 1}, "kick": {1, 1}, "revoke": {0, 1}, "pause": {0, 0}, "resume": {0, 0}, "mark": {0, 1},
}

func ctl(c *cli.Context) error {
	args, err := cmdline.Args(c, 1, 2)
	if err != nil {
		return err
	}
	do, operands := args[0], args[1:]
	takes, ok := requests[do]
	var wrong string
	switch {
	case !ok:
		wrong = "is no request"
	case len(operands) < takes.least:
		wrong = "needs an operand"
	case len(operands) > takes.most:
		wrong = "takes no operand"
	}
	if wrong != "" {
		return cmdline.Hint(proto.Errorf(proto.Usage, "%q %s", do, wrong), "one of: "+c.Command.ArgsUsage)
	}
	socket := os.Getenv(share.EnvSocket)
	if socket == "" {
		return cmdline.Hint(proto.Errorf(proto.Usage, "this shell is not shared"), outside())
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
		return cmdline.Hint(err, "a viewer is its number, or its name with the key behind it, as mesh-tty ctl list has them")
	}
	if err != nil || do != "list" {
		return err
	}
	return printViewers(c, reply.Viewers)
}

// outside says what to do outside of a session: the user's own ones can be named.
func outside() string {
	if names := sharing.Sockets(); len(names) > 0 {
		return fmt.Sprintf("mesh-tty ctl is for inside of mesh-tty --share, or for %s=%s", share.EnvSocket, proto.EscapeText(strings.Join(names, " or ")))
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
