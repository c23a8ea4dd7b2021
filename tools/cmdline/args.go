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
)

// runKey is where App.Metadata has the [run] that the App belongs to.
const runKey = "mesh.run"

// Args returns the arguments of a tool that takes min to max of them (max < 0:
// any number) and no CMD. A wrong number, a "--" and a flag after the first
// argument, which urfave/cli takes for an argument, are usage errors. No
// argument is ever repeated in an error: it may be a token.
func Args(c *cli.Context, minimum, maximum int) ([]string, error) {
	if after(c) != nil {
		return nil, proto.Errorf(proto.Usage, `no command can follow "--" here`)
	}
	return flatArgs(c, minimum, maximum)
}

// SplitCommand returns the arguments of a tool that also takes "-- CMD…". All
// that follows the first "--" on the command line is cmd, exactly as it was
// typed; without "--", cmd is nil. A "--" with nothing behind it is a usage
// error, and args are checked as [Args] does.
func SplitCommand(c *cli.Context, minimum, maximum int) (args, cmd []string, err error) {
	cmd = after(c)
	if cmd != nil && len(cmd) == 0 {
		return nil, nil, proto.Errorf(proto.Usage, `no command after "--"`)
	}
	args, err = flatArgs(c, minimum, maximum)
	return args, cmd, err
}

// Operands returns all arguments of a tool for which "--" only ends the flags,
// so that what follows may begin with a dash: mesh-sum -- -odd-name.
func Operands(c *cli.Context) ([]string, error) {
	args, err := flatArgs(c, 0, -1)
	return append(args, after(c)...), err
}

// after is what followed "--": nil without one.
func after(c *cli.Context) []string {
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.cmd
	}
	return nil
}

func flatArgs(c *cli.Context, minimum, maximum int) ([]string, error) {
	args := c.Args().Slice()
	for _, a := range args[min(1, len(args)):] {
		if len(a) > 1 && a[0] == '-' {
			name, _, _ := strings.Cut(a, "=")
			err := proto.Errorf(proto.Usage, "flag %s after an argument", name)
			return nil, proto.Hint(err, "flags come before "+firstWord(c.Command.ArgsUsage))
		}
	}
	usage := fmt.Sprintf("usage: %s [flags] %s", c.Command.HelpName, c.Command.ArgsUsage)
	switch n := len(args); {
	case n < minimum:
		return nil, proto.Hint(proto.Errorf(proto.Usage, "%s is missing", firstWord(c.Command.ArgsUsage)), usage)
	case maximum == 0 && n > 0:
		return nil, proto.Hint(proto.Errorf(proto.Usage, "an argument where none can be"), usage)
	case maximum >= 0 && n > maximum:
		return nil, proto.Hint(proto.Errorf(proto.Usage, "%d arguments where at most %d can be", n, maximum), usage)
	}
	return args, nil
}

// quoted is a word of the command line as an error may show it: not if it may be
// a token.
func quoted(word string) string {
	if strings.Contains(word, token.Prefix) {
		return token.Prefix + "…"
	}
	return strconv.Quote(word)
}

// firstWord is PEER for "[PEER] [-- CMD…]".
func firstWord(usage string) string {
	word := strings.FieldsFunc(usage, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != '@' })
	if len(word) == 0 {
		return "the arguments"
	}
	return word[0]
}

// once refuses a flag that was given twice. urfave/cli keeps the last value,
// which hides mistakes in long command lines; so the words that it has parsed
// without complaint are walked again.
func once(c *cli.Context) error {
	seen := map[string]bool{}
	words := rawWords(c)
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' {
			return nil
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(w[1:], "-"), "=")
		f := find(c.Command.Flags, name)
		if f == nil { // -qv: several short flags without values
			for _, r := range name {
				if err := mark(seen, find(c.Command.Flags, string(r))); err != nil {
					return err
				}
			}
			continue
		}
		if err := mark(seen, f); err != nil {
			return err
		}
		if _, isBool := f.(*cli.BoolFlag); !isBool && !hasValue {
			i++
		}
	}
	return nil
}

// rawWords is what the flag set of c has parsed.
func rawWords(c *cli.Context) []string {
	if l := c.Lineage(); len(l) > 1 && l[1].Command != nil && l[1].Args() != nil && l[1].Args().Present() {
		return l[1].Args().Tail()
	}
	if r, ok := c.App.Metadata[runKey].(*run); ok {
		return r.flat
	}
	return nil
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// mark notes f as given and fails when it was before and may not be repeated.
func mark(seen map[string]bool, f cli.Flag) error {
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
