package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// flagMacro is a flag in mdoc: "Fl v", "Fl -verbose" or "Fl Fl verbose".
var flagMacro = regexp.MustCompile(`\bFl (Fl )?(-?)([A-Za-z0-9][A-Za-z0-9-]*)`)

// exitItem is a line of EXIT STATUS: ".It 30 integrity".
var exitItem = regexp.MustCompile(`^\.It (\d+) (\S+)$`)

// TestManPages wants every tool and its page to have the same flags.
func TestManPages(t *testing.T) {
	t.Parallel()
	for _, construct := range tools {
		c := construct()
		name := "mesh-" + c.Name
		page := readPage(t, name+".1")
		if page == "" {
			continue
		}
		inTool := map[string]bool{"-h": true, "--help": true, "--version": true}
		collectFlags(c, inTool)
		inPage := map[string]bool{}
		for _, m := range flagMacro.FindAllStringSubmatch(page, -1) {
			if m[1] == "" && m[2] == "" {
				inPage["-"+m[3]] = true
			} else {
				inPage["--"+m[3]] = true
			}
		}
		for _, f := range slices.Sorted(maps.Keys(inTool)) {
			if !inPage[f] {
				t.Errorf("%s has %s, which its page does not mention", name, f)
			}
		}
		for _, f := range slices.Sorted(maps.Keys(inPage)) {
			if !inTool[f] {
				t.Errorf("the page of %s mentions %s, which it does not have", name, f)
			}
		}
		if len(exitCodes(t, name, page)) == 0 {
			t.Errorf("the page of %s has no EXIT STATUS", name)
		}
	}
}

// TestManCommands wants every command, and each of its flags, in the page of mesh.
func TestManCommands(t *testing.T) {
	t.Parallel()
	page := readPage(t, "mesh.1")
	for _, construct := range commands {
		c := construct()
		_, section, found := strings.Cut(page, "\n.It Cm "+c.Name)
		if !found {
			t.Errorf("the page of mesh does not list the command %s", c.Name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n.It Cm ")
		flags := map[string]bool{}
		collectFlags(c, flags)
		for f := range flags {
			if !strings.Contains(section, "Fl "+strings.TrimPrefix(f, "-")) {
				t.Errorf("the page of mesh does not mention %s of the command %s", f, c.Name)
			}
		}
	}
}

// swallowed matches mdoc that mandoc accepts without a warning and renders wrongly: a
// quotation or an option that extends over the words after it, and a heading that
// begins with the name of a macro.
var swallowed = regexp.MustCompile(`(?m)^.*\bQl .* (No|Ql) .*$|^.*\bOp Ar \S+ \| Cm \S+ \| .*$|^\.S[sh] (An|At|In|No|So)\b.*$`)

func TestManQuotes(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", "..", "man", "*.[1-9]"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d pages and %v", len(pages), err)
	}
	for _, page := range pages {
		for _, line := range swallowed.FindAllString(readPage(t, filepath.Base(page)), -1) {
			t.Errorf("%s: got %q", filepath.Base(page), line)
		}
	}
}

// TestManExit wants the page of mesh to have all codes with their meanings, and what a
// script does with them as "mesh help exit" says.
func TestManExit(t *testing.T) {
	t.Parallel()
	page := readPage(t, "mesh.1")
	codes := exitCodes(t, "mesh", page)
	for _, i := range proto.Codes {
		if !slices.Contains(codes, i.Code) {
			t.Errorf("mesh.1 does not list %d %s", i.Code, i.Name)
		}
		item := ".It " + strconv.Itoa(int(i.Code)) + " " + i.Name + "\n"
		if _, rest, ok := strings.Cut(page, item); ok && !strings.HasPrefix(strings.ToLower(rest), strings.ToLower(i.Meaning)) {
			t.Errorf("mesh.1 says of %d %s something else than %q", i.Code, i.Name, i.Meaning)
		}
	}
	_, advice, found := strings.Cut(helpOf(t, []string{"mesh", "help"}, "exit"), "\n\n")
	if !found || !strings.Contains(strings.ReplaceAll(page, `\-`, "-"), advice) {
		t.Errorf("mesh.1 lacks what help exit says:\n%s", advice)
	}
}

func readPage(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "man", file))
	if err != nil {
		t.Errorf("no manual page: %v", err)
	}
	return string(b)
}

// collectFlags adds all names of the flags of c and its subcommands.
func collectFlags(c *cli.Command, flags map[string]bool) {
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			if len(n) == 1 {
				flags["-"+n] = true
			} else {
				flags["--"+n] = true
			}
		}
	}
	for _, s := range c.Subcommands {
		collectFlags(s, flags)
	}
}

// exitCodes returns the codes that the page lists. It checks each against the table.
func exitCodes(t *testing.T, name, page string) []proto.Code {
	t.Helper()
	_, section, _ := strings.Cut(page, "\n.Sh EXIT STATUS\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var codes []proto.Code
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, ".It") {
			continue
		}
		m := exitItem.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: EXIT STATUS: got %q, want \".It CODE NAME\"", name, line)
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		code := proto.Code(n)
		if code.String() != m[2] {
			t.Errorf("%s: EXIT STATUS: %d is %q in the table, not %q", name, n, code, m[2])
		}
		if slices.Contains(codes, code) {
			t.Errorf("%s: EXIT STATUS: %d is listed twice", name, n)
		}
		codes = append(codes, code)
	}
	return codes
}
