package sum

import (
	"strings"
	"testing"

	"mesh/pipe/digest"
)

// The lines are those of b3sum 1.2.0. sum.txtar compares with the installed b3sum.
func TestLine(t *testing.T) {
	t.Parallel()
	d := digest.Sum(nil)
	hex := d.String()
	for name, want := range map[string]string{
		"a":            hex + "  a\n",
		"-":            hex + "  -\n",
		" a  b ":       hex + "   a  b \n",
		`a\b`:          `\` + hex + `  a\\b` + "\n",
		"a\nb":         `\` + hex + `  a\nb` + "\n",
		`\n`:           `\` + hex + `  \\n` + "\n",
		"a\rb\x1b":     hex + "  a\rb\x1b\n",
		"\xff\xfe":     hex + "  \ufffd\ufffd\n",
		"\xe2\x82":     hex + "  \ufffd\n",
		"\xe2\x82x":    hex + "  \ufffdx\n",
		"\xf0\x9f\x98": hex + "  \ufffd\n",
		"\xed\xa0\x80": hex + "  \ufffd\ufffd\ufffd\n", // a surrogate half
	} {
		if got := line(d, name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestParseLine(t *testing.T) {
	t.Parallel()
	d := digest.Sum(nil)
	hex := d.String()
	for _, name := range []string{"a", "-", " a ", `a\b`, "a\nb", `\n`, `\\`, "\n", "x\r"} {
		gotD, got, err := parseLine(strings.TrimSuffix(line(d, name), "\n"))
		if err != nil || got != name || gotD != d {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
	for _, bad := range []string{
		"", hex, hex + "  ", hex + " a", hex + " *a", hex + "\t a", hex[1:] + "  ab", strings.ToUpper(hex) + "  a",
		`\` + hex + `  a\`, `\` + hex + `  a\t`, hex + "  a\x00", hex + "  \ufffd", hex + "  \xff", `\\` + hex + "  a",
	} {
		if _, name, err := parseLine(bad); err == nil {
			t.Errorf("parseLine(%q) = %q, want an error", bad, name)
		}
	}
}

// FuzzParseLine: a parsed line is printed as a line that parses to the same.
func FuzzParseLine(f *testing.F) {
	d := digest.Sum(nil)
	for _, name := range []string{"a", `a\b`, "a\nb"} {
		f.Add(strings.TrimSuffix(line(d, name), "\n"))
	}
	f.Add(`\` + d.String() + "  plain")
	f.Fuzz(func(t *testing.T, text string) {
		d, name, err := parseLine(text)
		if err != nil {
			return
		}
		gotD, got, err := parseLine(strings.TrimSuffix(line(d, name), "\n"))
		if err != nil || gotD != d || got != name {
			t.Errorf("%q: %q is read back as %q, %v", text, name, got, err)
		}
	})
}
