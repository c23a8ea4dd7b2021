package cmdline

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// helpCommand is "mesh help": of the toolbox, of a tool, of the exit codes.
func (r *run) helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "show the help of a tool, or the exit codes",
		ArgsUsage: "[TOOL|exit]",
		Action: func(c *cli.Context) error {
			args, err := Args(c, 0, 2)
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] == "exit" {
				return r.print(exitTable())
			}
			// What --help prints, said by the one who knows: the same line with --help.
			typed := c.App.HelpName
			if len(args) > 0 && r.toolbox(typed).Command(args[0]) == nil {
				return wrongTool(args[0])
			}
			return r.run(c.Context, append(append([]string{typed}, args...), "--help"))
		},
	}
}

// exitTable is proto.Codes as text.
func exitTable() string {
	var b strings.Builder
	for _, i := range proto.Codes {
		fmt.Fprintf(&b, "%3d  %-12s %s\n", i.Code, i.Name, i.Meaning)
	}
	return b.String()
}

// printHelp prints the help of the command that c runs, on standard output:
// someone asked for it.
func (r *run) printHelp(c *cli.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [flags] %s\n\n%s\n", c.Command.HelpName, c.Command.ArgsUsage, c.Command.Usage)
	if d := strings.TrimSpace(c.Command.Description); d != "" {
		fmt.Fprintf(&b, "\n%s\n", d)
	}
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	helpCommands(w, "tools", c.Command.Subcommands, "tools")
	title := "subcommands"
	if c.Command.Name == toolbox {
		title = "also"
	}
	helpCommands(w, title, c.Command.Subcommands, "")
	fmt.Fprintf(w, "\nflags:\n")
	for _, f := range c.Command.VisibleFlags() {
		fmt.Fprintf(w, "  %s\n", f)
	}
	w.Flush() // into a strings.Builder
	return r.print(b.String())
}

// helpCommands lists the commands of one category under a title.
func helpCommands(w io.Writer, title string, commands []*cli.Command, category string) {
	for _, s := range commands {
		if s.Hidden || s.Category != category {
			continue
		}
		if title != "" {
			fmt.Fprintf(w, "\n%s:\n", title)
			title = ""
		}
		fmt.Fprintf(w, "  %s\t%s\n", s.Name, s.Usage)
	}
}

// print writes to standard output, where every write is checked.
func (r *run) print(s string) error {
	if _, err := io.WriteString(r.stdout, s); err != nil {
		return WriteError(err)
	}
	return nil
}
