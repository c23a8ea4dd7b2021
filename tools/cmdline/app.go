package cmdline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// errDone ends a run before its action, with status 0: --help and --version have
// been answered.
var errDone = errors.New("done")

// The categories of what the toolbox runs: see [Main].
const (
	toolsCategory    = "tools"
	commandsCategory = "commands"
)

// toolbox returns the App that has all tools and commands. typed is the name that it
// was called by.
func (r *run) toolbox(typed string) *cli.App {
	app := &cli.App{
		Name:      toolbox,
		HelpName:  typed,
		Usage:     "a pipe over the network; each tool is also called mesh-TOOL",
		ArgsUsage: "TOOL [ARGUMENT…]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "list", Usage: "print the names of the tools, one a line", DisableDefaultText: true},
		},
		Action: r.runToolbox,
	}
	add := func(category string, constructors ...func() *cli.Command) {
		for _, construct := range constructors {
			c := construct()
			c.Category = category
			app.Commands = append(app.Commands, c)
		}
	}
	add(toolsCategory, r.tools...)
	add(commandsCategory, r.commands...)
	add(commandsCategory, r.installCommand, r.completionCommand, r.helpCommand)
	return app
}

// single returns the App of a tool that was called by its own name.
func single(c *cli.Command, typed string) *cli.App {
	return &cli.App{
		Name:        toolbox + "-" + c.Name,
		HelpName:    typed,
		Usage:       c.Usage,
		UsageText:   c.UsageText,
		ArgsUsage:   c.ArgsUsage,
		Description: c.Description,
		Flags:       c.Flags,
		Commands:    c.Subcommands,
		Before:      c.Before,
		Action:      c.Action,
	}
}

// runToolbox is the action of the toolbox without a tool.
func (r *run) runToolbox(c *cli.Context) error {
	if c.Args().Present() {
		return r.unknownTool(c.Args().First())
	}
	if c.Bool("list") {
		var b strings.Builder
		for _, construct := range r.tools {
			fmt.Fprintln(&b, construct().Name)
		}
		return r.print(b.String())
	}
	return r.printScreen()
}

// overrideDefaults gives the App and every command below it the flags that all have, and
// what runs before and around its action.
func (r *run) overrideDefaults(app *cli.App) {
	app.Reader, app.Writer, app.ErrWriter = r.stdin, r.stdout, r.stderr
	app.OnUsageError = usageError
	app.Flags = append(app.Flags, briefFlag(), helpFlag(), versionFlag())
	app.Before = r.before(app.Before)
	app.Action = r.wrapAction(orSubcommand(app.Action, app.Commands))
	for _, c := range app.Commands {
		r.overrideCommandDefaults(c)
	}
}

func (r *run) overrideCommandDefaults(c *cli.Command) {
	c.OnUsageError = usageError
	c.Flags = append(c.Flags, briefFlag(), helpFlag())
	tool := toolbox + "-" + c.Name
	inner := r.before(c.Before)
	if c.Category == toolsCategory {
		c.Flags = append(c.Flags, versionFlag())
		c.Before = func(cc *cli.Context) error {
			r.name = tool
			return inner(cc)
		}
		usage := c.OnUsageError
		c.OnUsageError = func(cc *cli.Context, err error, sub bool) error {
			r.name = tool
			return usage(cc, err, sub)
		}
	} else {
		c.Before = inner
	}
	c.Action = r.wrapAction(orSubcommand(c.Action, c.Subcommands))
	for _, s := range c.Subcommands {
		r.overrideCommandDefaults(s)
	}
}

func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Usage: "print all of the help; -h: one screen of it", DisableDefaultText: true}
}

// briefFlag is not listed: --help says what it is.
func briefFlag() cli.Flag {
	return &cli.BoolFlag{Name: "h", Usage: "print a short help", Hidden: true, DisableDefaultText: true}
}

// versionFlag has no alias: the flag of urfave/cli takes -v, which is --verbose here.
func versionFlag() cli.Flag {
	return &cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true}
}

// before answers --help, -h and --version, whatever the arguments are. Else it calls next.
func (r *run) before(next cli.BeforeFunc) cli.BeforeFunc {
	return func(c *cli.Context) error {
		var err error
		switch {
		case c.Bool("help"):
			err = r.printHelp(c)
		case c.Bool("h"):
			err = r.printBrief(c)
		case c.Bool("version"):
			err = r.print(fmt.Sprintf("%s %s\n", r.name, version()))
		case next != nil:
			return next(c)
		default:
			return nil
		}
		if err != nil {
			return err
		}
		return errDone
	}
}

// wrapAction returns an action that catches the panics of another one, refuses a flag
// given twice, applies the settings and --deadline, and replaces an error that a
// cancelled context has caused by the cause.
func (r *run) wrapAction(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = internal(v, c.Count("verbose") > 1)
			}
		}()
		if err := refuseTwice(c); err != nil {
			return err
		}
		if err := r.applySettings(c); err != nil {
			return err
		}
		if r.instead != nil {
			return r.instead(c)
		}
		ctx, cancel := withDeadline(c)
		defer cancel()
		c.Context = ctx
		return Cause(ctx, action(c))
	}
}

// withDeadline limits the context of c to --deadline, if the tool has that flag.
func withDeadline(c *cli.Context) (context.Context, context.CancelFunc) {
	d := c.Duration(deadlineName)
	if d == 0 {
		return c.Context, func() {}
	}
	return context.WithTimeoutCause(c.Context, d, proto.Errorf(proto.Timeout, "the deadline of %v ran out", d))
}

// orSubcommand returns action, or for a command that only has subcommands one that
// fails: the default prints help and ends with 3.
func orSubcommand(action cli.ActionFunc, subs []*cli.Command) cli.ActionFunc {
	if action != nil {
		return action
	}
	var names []string
	for _, s := range subs {
		names = append(names, s.Name)
	}
	return func(c *cli.Context) error {
		err := proto.Errorf(proto.Usage, "a subcommand is missing")
		if c.Args().Present() {
			err = proto.Errorf(proto.Usage, "unknown subcommand %s", quoted(c.Args().First()))
			if meant := meantCommand(c.Args().First(), names); meant != "" {
				return proto.Hint(err, "did you mean "+c.Command.HelpName+" "+meant+"?")
			}
		}
		return proto.Hint(err, "one of: "+strings.Join(names, ", "))
	}
}

// usageError replaces the handler of urfave/cli, which prints help to standard output.
func usageError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return unknownFlag(c, strings.TrimLeft(name, "-"))
	}
	if errors.Is(err, flag.ErrHelp) {
		text = "unknown flag --help"
	}
	if before, name, ok := strings.Cut(text, "needs an argument: -"); ok {
		text = before + "needs an argument: " + dashed(strings.TrimLeft(name, "-"))
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		why := m[3]
		if why == "parse error" { // package flag says no more
			why = "want a number"
		}
		text = fmt.Sprintf("invalid value %s for flag %s: %s", m[1], dashed(m[2]), why)
	}
	text = strings.ToLower(text[:1]) + text[1:]
	return proto.Hint(proto.Errorf(proto.Usage, "%s", text), fmt.Sprintf("%q lists the flags", c.Command.HelpName+" --help"))
}

// badValue matches what package flag says of a value that a flag refuses: the value,
// the flag, and why.
var badValue = regexp.MustCompile(`(?s)^invalid value (".*") for flag -(\S+): (.*)$`)

// dashed returns a flag as a user types it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Version is the version that --version prints. The linker sets it (-X); if it is
// empty, --version prints what go build found in version control.
var Version string

// VersionText returns the version that --version prints.
func VersionText() string { return version() }

func version() string {
	if Version != "" {
		return Version
	}
	if i, ok := debug.ReadBuildInfo(); ok && i.Main.Version != "" {
		return i.Main.Version
	}
	return "(devel)"
}
