package cmdline

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// helpCommand is "mesh help": of the toolbox, of a tool, of the exit codes.
func (r *run) helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "show the help of a tool or command, or the exit codes",
		ArgsUsage: "[TOOL|COMMAND|exit]",
		Action: func(c *cli.Context) error {
			args, err := Args(c, 0, 2)
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] == "exit" {
				return r.print(exitTable() + exitAdvice)
			}
			// The help is that of the same line with --help.
			typed := c.App.HelpName
			if len(args) > 0 && r.toolbox(typed).Command(args[0]) == nil {
				return r.unknownTool(args[0])
			}
			return r.run(c.Context, append(append([]string{typed}, args...), "--help"))
		},
	}
}

// exitTable returns proto.Codes as text.
func exitTable() string {
	var b strings.Builder
	for _, i := range proto.Codes {
		fmt.Fprintf(&b, "%3d  %-12s %s\n", i.Code, i.Name, i.Meaning)
	}
	return b.String()
}

// exitAdvice says what a script does with each class of codes.
const exitAdvice = `
What a script does with them:
    0       go on: the data is there, whole and verified
    2       mend the call: a flag, an argument or a token is wrong
   10 - 13  run it again later, as --retry-for does: the peer or the way is at fault
   20 - 23  tell a person: trust or rights are wrong, and no repeat mends them
   30 - 32  do not use the data; run it again, and tell a person if that fails too
   33       do not use the data, and look at the command that sends it
   34       the data is whole: look at the command that takes it
   40 - 44  look at the machine that the message names: its disk, names, settings
   1, 70    tell the makers of mesh
  128 + n   it was ended by signal n
`

// printHelp prints all of the help of the command that c runs to standard output: the
// user asked for it.
func (r *run) printHelp(c *cli.Context) error {
	var b strings.Builder
	helpUsage(&b, c)
	if d := strings.TrimSpace(c.Command.Description); d != "" {
		fmt.Fprintf(&b, "\n%s\n", d)
	}
	for _, category := range []string{toolsCategory, commandsCategory, ""} {
		title := category
		if category == "" {
			title = "subcommands"
		}
		helpCommands(&b, title, c.Command.Subcommands, category)
	}
	flags := c.Command.VisibleFlags()
	for _, g := range groupFlags(toolName(c), flags) {
		helpRows(&b, g.title, flagRows(g.flags, flagUsage), widthOf(flagRows(flags, flagUsage)))
	}
	return r.print(b.String())
}

// printBrief prints the help that fits on one screen: usage, examples, and the flags
// and subcommands that matter. Only tools, and subcommands with many flags, have it.
func (r *run) printBrief(c *cli.Context) error {
	if c.Command.Name == toolbox {
		return r.printBriefToolbox(c)
	}
	if c.Command.UsageText == "" {
		return r.printHelp(c)
	}
	flags := briefFlags(toolName(c), c.Command.VisibleFlags())
	var b strings.Builder
	helpUsage(&b, c)
	fmt.Fprintf(&b, "\nexamples:\n")
	for example := range strings.Lines(c.Command.UsageText) {
		b.WriteString("  " + example)
	}
	var rows [][2]string
	for name := range strings.FieldsSeq(briefCommands[toolName(c)]) {
		if i := slices.IndexFunc(c.Command.Subcommands, func(s *cli.Command) bool { return s.Name == name }); i >= 0 {
			usage, _, _ := strings.Cut(c.Command.Subcommands[i].Usage, ";")
			rows = append(rows, [2]string{name, usage})
		}
	}
	helpRows(&b, "subcommands", rows, widthOf(rows))
	all := "commands"
	if len(rows) == 0 {
		all, rows = "flags", flagRows(flags, briefUsage)
		helpRows(&b, "flags", rows, widthOf(rows))
	}
	fmt.Fprintf(&b, "\nall %s: %s --help, man %s\n", all, c.Command.HelpName, r.name)
	return r.print(b.String())
}

// printBriefToolbox prints the tools and commands.
func (r *run) printBriefToolbox(c *cli.Context) error {
	var b strings.Builder
	helpUsage(&b, c)
	for _, category := range []string{toolsCategory, commandsCategory} {
		helpCommands(&b, category, c.Command.Subcommands, category)
	}
	fmt.Fprintf(&b, "\nall: %s --help, man %s\n", c.Command.HelpName, toolbox)
	return r.print(b.String())
}

// toolName returns the name of the command that c runs: cat, also for mesh-cat.
func toolName(c *cli.Context) string { return strings.TrimPrefix(c.Command.Name, toolbox+"-") }

func helpUsage(b *strings.Builder, c *cli.Context) {
	line := strings.TrimSpace(c.Command.HelpName + " [flags] " + c.Command.ArgsUsage)
	fmt.Fprintf(b, "usage: %s\n\n%s\n", line, c.Command.Usage)
}

// helpCommands lists the commands of one category under a title.
func helpCommands(b *strings.Builder, title string, commands []*cli.Command, category string) {
	var rows [][2]string
	for _, s := range commands {
		if !s.Hidden && s.Category == category {
			rows = append(rows, [2]string{s.Name, s.Usage})
		}
	}
	helpRows(b, title, rows, widthOf(rows))
}

// flagRows returns flags and their usage.
func flagRows(flags []cli.Flag, usage func(cli.Flag) string) (rows [][2]string) {
	for _, f := range flags {
		rows = append(rows, [2]string{flagName(f), usage(f)})
	}
	return rows
}

const (
	helpColumns = 79 // of a line, at most
	nameColumns = 22 // of a name that has its usage beside it, at most
)

// widthOf returns the width of the column of names.
func widthOf(rows [][2]string) (width int) {
	for _, row := range rows {
		if n := utf8.RuneCountInString(row[0]); n <= nameColumns {
			width = max(width, n)
		}
	}
	return width
}

// helpRows prints names and their usage, wrapped, under a title. The usage of a name
// that is wider than the column of names begins below the name.
func helpRows(b *strings.Builder, title string, rows [][2]string, width int) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	indent := strings.Repeat(" ", width+4)
	for _, row := range rows {
		if utf8.RuneCountInString(row[0]) > width {
			fmt.Fprintf(b, "  %s\n%s", row[0], indent)
		} else {
			fmt.Fprintf(b, "  %-*s  ", width, row[0])
		}
		b.WriteString(wrap(row[1], helpColumns-len(indent), "\n"+indent) + "\n")
	}
}

// flagName returns what a user types: -o, --output FILE.
func flagName(f cli.Flag) string {
	names := f.Names()
	text := "    "
	if len(names) > 1 {
		text = dashed(names[1]) + ", "
	}
	text += dashed(names[0])
	if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
		_, value, _ := strings.Cut(d.GetUsage(), "`")
		value, _, _ = strings.Cut(value, "`")
		text += " " + value
	}
	return text
}

// flagUsage returns the usage of a flag, with its default if it has one.
func flagUsage(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	usage := strings.ReplaceAll(d.GetUsage(), "`", "")
	if text := d.GetDefaultText(); text != "" && d.TakesValue() {
		usage += " (default: " + strings.Trim(text, `"`) + ")"
	}
	return usage
}

// briefUsage returns the usage of a flag up to the first semicolon, without a default.
func briefUsage(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	usage, _, _ := strings.Cut(strings.ReplaceAll(d.GetUsage(), "`", ""), ";")
	return usage
}

// wrap breaks text between words into lines of at most width columns, and puts sep
// between them.
func wrap(text string, width int, sep string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			column = n
		case column+1+n > width:
			b.WriteString(sep)
			column = n
		default:
			b.WriteString(" ")
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// print writes to standard output, where every write is checked.
func (r *run) print(s string) error {
	if _, err := io.WriteString(r.stdout, s); err != nil {
		return WriteError(err)
	}
	return nil
}
