package paste_test

import (
	"slices"
	"strings"
	"testing"

	"mesh/tools/paste"
)

func TestPeerWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		" \t\r\n\u00a0":      "",
		"bob":                "bob",
		"“bob”,":             "bob",
		"<bob>":              "bob",
		"$ mesh-cat bob":     "bob",
		"mesh-cat @t":        "@t",
		"mesh-cat":           "mesh-cat",
		"mesh-cat bob":       "mesh-cat bob", // no prompt: perhaps it is not meant so
		"# mesh tty bob":     "bob",
		"\ufeff@my file\r\n": "@my file",
		"[2001:db8::1]:4600": "[2001:db8::1]:4600",
		"a\x00b":             "ab",
	} {
		if got := paste.PeerWord(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHasToken(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"mesh1": true, "mesh1abc": true, "MESH1ABC": true, "x=mesh1abc": true, "\u200bmesh1 abc": true,
		"mesh1.example:1": false, "mesh1:4600": false, "mesh": false, "amesh1abc": false, "": false,
	} {
		if got := paste.HasToken(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestUnprompt(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"bob f":                  "bob f",
		"$":                      "$",
		"$ f":                    "$ f",
		"$ mesh-cat bob f":       "bob f",
		"mesh-cat bob":           "mesh-cat bob",
		"mesh-cat @t f":          "@t f",
		"$ @t":                   "@t",
		"% mesh recv mesh1abc":   "mesh1abc",
		"mesh recv mesh1abc":     "mesh1abc",
		"$ $ mesh-tty mesh1a bc": "mesh1a bc",
		"mesh bob":               "mesh bob",
	} {
		if got := paste.Unprompt(strings.Fields(line)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	for _, args := range [][]string{nil, {""}, {"$", ""}, {"mesh-cat", ""}, {"$", "mesh", "cat", ""}} {
		paste.Unprompt(args) // does not panic
	}
}

// A long text with many beginnings is searched in a short time.
func TestLongText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("mesh1 a b c ", 5000), strings.Repeat("mesh1", 10000), strings.Repeat("a ", 30000)} {
		if _, err := paste.Token(text); err == nil {
			t.Errorf("%.20s: found a token", text)
		}
	}
}
