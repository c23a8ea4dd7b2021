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

// Parse reads args and returns the operands, which may stand among the flags.
// A request for help prints it and returns flag.ErrHelp.
func (f *Flags) Parse(args []string) (operands []string, err error) {
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
		operands, args = append(operands, f.Arg(0)), f.Args()[1:]
	}
}

// ParseAll is Parse for a program without operands.
func (f *Flags) ParseAll(args []string) error {
	operands, err := f.Parse(args)
	if err == nil && len(operands) > 0 {
		err = UsageError{fmt.Errorf("unexpected argument %q; --help shows the usage", operands[0])}
	}
	return err
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

// value is a flag's value of any type, with its parser.
type value[T any] struct {
	to    *T
	parse func(text string) (T, error)
}

func (v value[T]) Set(text string) (err error) {
	*v.to, err = v.parse(text)
	return err
}

func (v value[T]) String() string {
	if v.to == nil { // the flag package asks a zero value
		return ""
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(*v.to), "[]"), " ", ",")
}

// Count adds a flag for a whole number, 1 or more. Its default is *n.
func (f *Flags) Count(n *int, name, usage string) {
	f.Var(value[int]{n, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, errors.New("want a whole number, 1 or more")
		}
		return n, nil
	}}, name, usage)
}

// Names adds a flag for words with commas between them. Its default is *list. Each
// word must be one of known, unless that is nil.
func (f *Flags) Names(list *[]string, known []string, name, usage string) {
	f.Var(value[[]string]{list, func(text string) ([]string, error) {
		words := strings.Split(text, ",")
		for _, word := range words {
			if known != nil && !slices.Contains(known, word) {
				return nil, fmt.Errorf("want some of %s", strings.Join(known, ","))
			}
		}
		return words, nil
	}}, name, usage)
}

// Numbers adds a flag for numbers from 0 with commas between them. Its default is
// *list.
func (f *Flags) Numbers(list *[]float64, name, usage string) {
	f.Var(value[[]float64]{list, func(text string) (numbers []float64, err error) {
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseFloat(word, 64)
			if err != nil || !(n >= 0) {
				return nil, errors.New("want numbers from 0, with commas between them")
			}
			numbers = append(numbers, n)
		}
		return numbers, nil
	}}, name, usage)
}
