package measure_test

import (
	"errors"
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
		{"--names=b", true},
		{"--names=a,b", true},
		{"--names=a,c", false},
		{"--names=", false},
		{"--words=x,y", true},
	} {
		flags := measure.NewFlags("usage: test")
		names := measure.List{Words: []string{"a"}, Known: []string{"a", "b"}}
		words := measure.List{Words: []string{"w"}}
		flags.Var(&names, "names", "")
		flags.Var(&words, "words", "")
		if _, err := flags.Parse([]string{test.arg}); (err == nil) != test.held {
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
		"unknown operand":     {[]string{"a", "c"}, nil, 7, true},
		"value is missing":    {[]string{"--n"}, nil, 7, true},
		"value of other type": {[]string{"--n", "x"}, nil, 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := measure.NewFlags("usage: test")
			n := flags.Int("n", 7, "a `NUMBER`")
			operands, err := flags.Parse(test.args, "a", "b")
			if _, usage := errors.AsType[measure.UsageError](err); usage != test.usage || (err != nil) != test.usage {
				t.Fatalf("got error %v, want one: %v", err, test.usage)
			}
			if err == nil && (!slices.Equal(operands, test.operands) || *n != test.n) {
				t.Errorf("got %q and %d, want %q and %d", operands, *n, test.operands, test.n)
			}
		})
	}
}
