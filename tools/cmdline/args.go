package cmdline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/tools/paste"
)

// runKey is the key of App.Metadata for the [run] that the App belongs to.
const runKey = "mesh.run"

// Args returns the arguments of a tool that takes minimum to maximum of them
// (maximum < 0: any number) and no CMD. A wrong number, a "--" and a flag after the
// first argument, which urfave/cli takes for an argument, are usage errors. No error
// repeats an argument: it may be a token.
func Args(c *cli.Context, minimum, maximum int) ([]string, error) {
	if afterDashes(c) != nil {
		return nil, proto.Errorf(proto.Usage, `no command can follow "--" here`)
	}
	return flatArgs(c, minimum, maximum)
}

// SplitCommand returns the arguments of a tool that also takes "-- CMD…". cmd is
// what follows the first "--" on the command line, exactly as it was typed; without
// "--" it is nil. A "--" with nothing behind it is a usage error. args are checked
// as by [Args].
func SplitCommand(c *cli.Context, minimum, maximum int) (args, cmd []string, err error) {
	cmd = afterDashes(c)
	if cmd != nil && len(cmd) == 0 {
		return nil, nil, proto.Errorf(proto.Usage, `no command after "--"`)
	}
	args, err = flatArgs(c, minimum, maximum)
	return args, cmd, err
}

// Operands returns all arguments of a tool for which "--" only ends the flags. What
// follows it may begin with a dash: mesh-sum -- -odd-name.
func Operands(c *cli.Context) ([]string, error) {
	args, err := flatArgs(c, 0, -1)
	return append(args, afterDashes(c)...), err
}

// afterDashes returns what followed the first "--": nil without one.
func afterDashes(c *cli.Context) []string {
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.cmd
	}
	return nil
}

// flatArgs returns and checks the arguments before the first "--".
func flatArgs(c *cli.Context, minimum, maximum int) ([]string, error) {
	args := c.Args().Slice()
	for _, a := range args[min(1, len(args)):] {
		if len(a) > 1 && a[0] == '-' {
			name, _, _ := strings.Cut(a, "=")
			err := proto.Errorf(proto.Usage, "flag %s after an argument", name)
			return nil, proto.Hint(err, "flags come before "+firstWord(c.Command.ArgsUsage))
		}
	}
	usage := usageLine(c)
	switch n := len(args); {
	case n < minimum:
		return nil, proto.Hint(proto.Errorf(proto.Usage, "%s is missing", firstWord(c.Command.ArgsUsage)), usage)
	case maximum == 0 && n > 0:
		return nil, proto.Hint(proto.Errorf(proto.Usage, "no argument is allowed here"), usage)
	case maximum >= 0 && n > maximum:
		return nil, TooMany(c, n, maximum)
	}
	return args, nil
}

// TooMany is the error of a tool that got more arguments than it takes.
func TooMany(c *cli.Context, got, want int) error {
	return proto.Hint(proto.Errorf(proto.Usage, "got %d arguments, want at most %d", got, want), usageLine(c))
}

func usageLine(c *cli.Context) string {
	return fmt.Sprintf("usage: %s [flags] %s", c.Command.HelpName, c.Command.ArgsUsage)
}

// quoted returns a word of the command line as an error may show it. What may be a
// token is left out.
func quoted(word string) string {
	if paste.HasToken(word) || paste.Secret(word) {
		return token.Prefix + "…"
	}
	return strconv.Quote(word)
}

// firstWord returns PEER for "[PEER] [-- CMD…]".
func firstWord(usage string) string {
	word := strings.FieldsFunc(usage, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != '@' })
	if len(word) == 0 {
		return "the arguments"
	}
	return word[0]
}

// refuseTwice refuses a flag that was given twice. urfave/cli keeps the last value,
// which hides mistakes in long command lines. So this walks again over the words
// that it has parsed.
func refuseTwice(c *cli.Context) error {
	seen := map[string]bool{}
	words := rawWords(c)
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' {
			return nil
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(w[1:], "-"), "=")
		f := findFlag(c.Command.Flags, name)
		if f == nil { // -qv: several short flags, none with a value
			for _, r := range name {
				if err := markGiven(seen, findFlag(c.Command.Flags, string(r))); err != nil {
					return err
				}
			}
			continue
		}
		if err := markGiven(seen, f); err != nil {
			return err
		}
		if _, isBool := f.(*cli.BoolFlag); !isBool && !hasValue {
			i++
		}
	}
	return nil
}

// rawWords returns the words that the flag set of c has parsed.
func rawWords(c *cli.Context) []string {
	if l := c.Lineage(); len(l) > 1 && l[1].Command != nil && l[1].Args() != nil && l[1].Args().Present() {
		return l[1].Args().Tail()
	}
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.flat
	}
	return nil
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// markGiven adds f to seen. It fails if f is there already and cannot be repeated.
func markGiven(seen map[string]bool, f cli.Flag) error {
	if f == nil || repeatable(f) {
		return nil
	}
	name := f.Names()[0]
	if seen[name] {
		return proto.Errorf(proto.Usage, "flag %s given twice", dashed(name))
	}
	seen[name] = true
	return nil
}

func repeatable(f cli.Flag) bool {
	if b, ok := f.(*cli.BoolFlag); ok {
		return b.Count != nil
	}
	s, ok := f.(cli.DocGenerationSliceFlag)
	return ok && s.IsSliceFlag()
}
