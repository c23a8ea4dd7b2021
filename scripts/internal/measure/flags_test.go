package measure_test

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"mesh/scripts/internal/measure"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		bytes   measure.Size
		written string // empty: text is refused
	}{
		"1":           {1, "1"},
		"1023":        {1023, "1023"},
		"1024":        {1024, "1KiB"},
		"64KiB":       {64 << 10, "64KiB"},
		"1024KiB":     {1 << 20, "1MiB"},
		"1025KiB":     {1025 << 10, "1025KiB"},
		"2GiB":        {2 << 30, "2GiB"},
		"":            {},
		"0":           {},
		"-1":          {},
		"1.5MiB":      {},
		"MiB":         {},
		"1MB":         {},
		"1 KiB":       {},
		"99999999999": {},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			var got measure.Size
			err := got.Set(text)
			if (err == nil) != (want.written != "") {
				t.Fatalf("got error %v, want one: %v", err, want.written == "")
			}
			if err == nil && (got != want.bytes || got.String() != want.written) {
				t.Errorf("got %d, written %q, want %d, written %q", got, got.String(), want.bytes, want.written)
			}
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		arg  string
		held bool
	}{
		{"--numbers=0,0.01,200", true},
		{"--numbers=", false},
		{"--numbers=1,", false},
		{"--numbers=-1", false},
		{"--numbers=NaN", false},
		{"--count=1", true},
		{"--count=0", false},
		{"--count=-1", false},
		{"--count=1.5", false},
		{"--names=b", true},
		{"--names=a,b", true},
		{"--names=a,c", false},
		{"--names=", false},
		{"--words=x,y", true},
	} {
		flags := measure.NewFlags("usage: test")
		count, numbers, names, words := 7, []float64{7}, []string{"a"}, []string{"w"}
		flags.Count(&count, "count", "")
		flags.Numbers(&numbers, "numbers", "")
		flags.Names(&names, []string{"a", "b"}, "names", "")
		flags.Names(&words, nil, "words", "")
		if err := flags.ParseAll([]string{test.arg}); (err == nil) != test.held {
			t.Errorf("%s: got error %v, want one: %v", test.arg, err, !test.held)
		} else if err != nil {
			continue
		}
		name, text, _ := strings.Cut(strings.TrimPrefix(test.arg, "--"), "=")
		if got := flags.Lookup(name).Value.String(); got != text {
			t.Errorf("%s: got the value %q", test.arg, got)
		}
	}
}

func TestFlagsParse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args     []string
		operands []string
		n        int
		usage    bool
	}{
		"none":                {nil, nil, 7, false},
		"flag first":          {[]string{"--n", "1", "a", "b"}, []string{"a", "b"}, 1, false},
		"flag last":           {[]string{"a", "b", "--n=2"}, []string{"a", "b"}, 2, false},
		"flag between":        {[]string{"a", "--n", "3", "b"}, []string{"a", "b"}, 3, false},
		"unknown flag":        {[]string{"a", "--m"}, nil, 7, true},
		"value is missing":    {[]string{"--n"}, nil, 7, true},
		"value of other type": {[]string{"--n", "x"}, nil, 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := measure.NewFlags("usage: test")
			n := flags.Int("n", 7, "a `NUMBER`")
			operands, err := flags.Parse(test.args)
			if _, usage := errors.AsType[measure.UsageError](err); usage != test.usage || (err != nil) != test.usage {
				t.Fatalf("got error %v, want one: %v", err, test.usage)
			}
			if err == nil && (!slices.Equal(operands, test.operands) || *n != test.n) {
				t.Errorf("got %q and %d, want %q and %d", operands, *n, test.operands, test.n)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	got := measure.Errors(errors.Join(errors.Join(a, b), flag.ErrHelp, c))
	if !slices.Equal(got, []error{a, b, c}) {
		t.Errorf("got %v, want a, b and c", got)
	}
	if got := measure.Errors(nil); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}
