package measure

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Flags are the flags of a program or of one of its parts, written --name.
type Flags struct {
	*flag.FlagSet
	text string
}

// NewFlags returns flags without any flag. The help begins with text, whose
// first line is the synopsis.
func NewFlags(text string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet("", flag.ContinueOnError), text: strings.TrimSpace(text)}
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// Parse reads args and returns the operands, which may stand among the flags and
// must be among known. A request for help prints it and returns flag.ErrHelp.
func (f *Flags) Parse(args []string, known ...string) (operands []string, err error) {
	for {
		if err := f.FlagSet.Parse(args); errors.Is(err, flag.ErrHelp) {
			f.help(os.Stdout)
			return nil, err
		} else if err != nil {
			words := strings.NewReplacer("flag -", "flag --", ": -", ": --").Replace(err.Error())
			return nil, UsageError{fmt.Errorf("%s; --help lists the flags", words)}
		}
		if f.NArg() == 0 {
			return operands, nil
		}
		if !slices.Contains(known, f.Arg(0)) {
			return nil, UsageError{fmt.Errorf("unexpected argument %q; --help shows the usage", f.Arg(0))}
		}
		operands, args = append(operands, f.Arg(0)), f.Args()[1:]
	}
}

func (f *Flags) help(w io.Writer) {
	fmt.Fprintln(w, f.text)
	head := "\nFlags:\n"
	f.VisitAll(func(one *flag.Flag) {
		value, usage := flag.UnquoteUsage(one)
		if one.DefValue != "" && one.DefValue != "false" {
			usage += " (default " + one.DefValue + ")"
		}
		fmt.Fprintf(w, "%s  --%-20s %s\n", head, strings.TrimSpace(one.Name+" "+value), usage)
		head = ""
	})
}

// Size is a flag's value in bytes, given with or without KiB, MiB or GiB.
type Size int64

var units = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// Set parses text; the flag package calls it.
func (s *Size) Set(text string) error {
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n < 1 {
			break
		}
		*s = Size(n) * unit.bytes
		return nil
	}
	return errors.New("want a size such as 512, 64KiB, 16MiB or 2GiB")
}

// String writes s in the largest unit that divides it.
func (s *Size) String() string {
	for _, unit := range units {
		if *s != 0 && *s%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", *s/unit.bytes, unit.name)
		}
	}
	return ""
}

// MiB is s in mebibytes.
func (s Size) MiB() float64 { return float64(s) / (1 << 20) }

// List is a flag's value: words with commas between them.
type List struct {
	Words []string
	Known []string // if it is set, each word must be one of these
}

// Set parses text; the flag package calls it.
func (l *List) Set(text string) error {
	words := strings.Split(text, ",")
	for _, word := range words {
		if l.Known != nil && !slices.Contains(l.Known, word) {
			return fmt.Errorf("want some of %s", strings.Join(l.Known, ","))
		}
	}
	l.Words = words
	return nil
}

func (l *List) String() string { return strings.Join(l.Words, ",") }
