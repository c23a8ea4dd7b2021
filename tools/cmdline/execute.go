package cmdline

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// execute parses the flags of the App and of the command that argv names, and runs its
// action. It stands in for App.RunContext: that reaches text/template, for help that mesh
// prints itself, and template looks for methods by name. The linker then keeps every
// exported method in the binary, which are 2.5 MB.
func execute(ctx context.Context, app *cli.App, argv []string) error {
	root := &cli.Command{
		Name: app.Name, HelpName: app.HelpName, Usage: app.Usage, UsageText: app.UsageText, ArgsUsage: app.ArgsUsage, Description: app.Description,
		Flags: app.Flags, Subcommands: app.Commands, Before: app.Before, Action: app.Action, OnUsageError: app.OnUsageError,
	}
	return executeCommand(app, root, &cli.Context{Context: ctx}, argv)
}

// executeCommand runs a command, or the one of its subcommands that its first argument
// names. argv[0] is the name of the command.
func executeCommand(app *cli.App, c *cli.Command, parent *cli.Context, argv []string) error {
	for _, s := range c.Subcommands {
		s.HelpName = c.HelpName + " " + s.Name
	}
	set, err := parseFlags(c, argv[1:])
	cc := cli.NewContext(app, set, parent)
	cc.Command = c
	if err != nil {
		return c.OnUsageError(cc, err, false)
	}
	if err := c.Before(cc); err != nil {
		return err
	}
	if err := flagActions(cc, c.Flags); err != nil {
		return err
	}
	if name := cc.Args().First(); name != "" {
		if s := c.Command(name); s != nil {
			return executeCommand(app, s, cc, cc.Args().Slice())
		}
	}
	return c.Action(cc)
}

// flagActions runs the actions of the flags that are set: they check the values.
func flagActions(cc *cli.Context, flags []cli.Flag) error {
	for _, f := range flags {
		if a, ok := f.(cli.ActionableFlag); ok && cc.IsSet(f.Names()[0]) {
			if err := a.RunAction(cc); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseFlags parses the flags at the begin of args, up to the first argument.
func parseFlags(c *cli.Command, args []string) (*flag.FlagSet, error) {
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, f := range c.Flags {
		if err := f.Apply(set); err != nil {
			return nil, err
		}
	}
	lists := make(map[*flag.Flag]flag.Value)
	set.VisitAll(func(f *flag.Flag) {
		if s, ok := f.Value.(*cli.StringSlice); ok {
			lists[f], f.Value = s, list{s}
		}
	})
	if err := set.Parse(splitShort(set, args)); err != nil {
		return nil, err
	}
	for f, value := range lists { // the type that cli.Context looks for
		f.Value = value
	}
	return set, copyAliases(c.Flags, set)
}

// list is the value of a flag that may be repeated. [cli.StringSlice] alone splits what it
// is given at commas.
type list struct{ *cli.StringSlice }

// Set implements [flag.Value].
func (l list) Set(value string) error {
	all := append(l.Value(), strings.TrimSpace(value))
	return l.StringSlice.Set(cli.NewStringSlice(all...).Serialize())
}

// setValue sets a flag after the command line was parsed.
func setValue(cc *cli.Context, name, value string) error {
	if _, ok := findFlag(cc.Command.Flags, name).(*cli.StringSliceFlag); ok {
		all := append(cc.StringSlice(name), strings.TrimSpace(value))
		value = cli.NewStringSlice(all...).Serialize()
	}
	return cc.Set(name, value)
}

// splitShort splits flags of one letter that are written together: -vv is -v -v. It looks
// at what stands where a flag may stand, so never at the value of a flag.
func splitShort(set *flag.FlagSet, args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if len(arg) < 2 || arg[0] != '-' || arg == "--" {
			return append(out, args[i:]...)
		}
		if letters, ok := shortFlags(set, arg); ok {
			out = append(out, letters...)
			name = letters[len(letters)-1][1:]
		} else {
			out = append(out, arg)
		}
		if f := set.Lookup(name); f != nil && !hasValue && !isBool(f) && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// shortFlags returns the flags that are written together in arg, unless it is one flag.
func shortFlags(set *flag.FlagSet, arg string) (letters []string, ok bool) {
	name := arg[1:]
	if len(name) < 2 || name[0] == '-' || set.Lookup(name) != nil {
		return nil, false
	}
	for _, letter := range name {
		if set.Lookup(string(letter)) == nil {
			return nil, false
		}
		letters = append(letters, "-"+string(letter))
	}
	return letters, true
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// copyAliases gives the names of a flag that are not on the command line the value of the
// one that is.
func copyAliases(flags []cli.Flag, set *flag.FlagSet) error {
	given := make(map[string]bool)
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, f := range flags {
		var from *flag.Flag
		for _, name := range f.Names() {
			switch {
			case !given[name]:
			case from != nil:
				return fmt.Errorf("cannot use two forms of the same flag: %s %s", name, from.Name)
			default:
				from = set.Lookup(name)
			}
		}
		for _, name := range f.Names() {
			if from != nil && !given[name] {
				_ = set.Set(name, from.Value.String()) // it is a value of this flag already
			}
		}
	}
	return nil
}
