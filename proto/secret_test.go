package proto_test

import (
	"strings"
	"testing"

	"mesh/proto"
)

func TestHideSecrets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("abcd2345", 20)
	for message, want := range map[string]string{
		"":                              "",
		"no secret":                     "no secret",
		"mesh1" + long:                  "mesh1…",
		"mi1" + long:                    "mi1…",
		"mh1" + long:                    "mh1…",
		"mv1" + long:                    "mv1…",
		"MESH1" + strings.ToUpper(long): "MESH1…",
		`invalid value "mesh1` + long + `" for flag --wait`: `invalid value "mesh1…" for flag --wait`,
		"unknown flag --mesh1" + long + "=x":                "unknown flag --mesh1…=x",
		"@mesh1" + long + ": no such file":                  "@mesh1…: no such file",
		"mesh1" + long + " and mi1" + long:                  "mesh1… and mi1…",
		"peer" + "mesh1" + long:                             "peermesh1…",
		"mesh1abcdefgh":                                     "mesh1…",

		"1 of mesh1" + long: "1 of mesh1…",

		// broken into lines
		"mesh1" + long + "\n" + long + " is not a number":       "mesh1… is not a number",
		"mesh1" + long + `\n` + "end" + `\n` + `" is no number`: `mesh1…\n" is no number`,
		"mesh1" + long + `\r\n` + "end is no number":            "mesh1… is no number",
		"mesh1" + long + `\u{2028}` + "end is no number":        "mesh1… is no number",
		"mesh1" + long + `\x0a` + "end is no number":            "mesh1… is no number",
		"mesh1" + long + `\\n` + "end is no number":             "mesh1… is no number",
		"mesh1abc " + long + " is no number":                    "mesh1… is no number",
		"mesh1" + `\n` + long + " is no number":                 "mesh1… is no number",

		// what is none
		"a token begins with mesh1":                    "a token begins with mesh1",
		"neither mesh1, as tokens do, nor mk1, as ids": "neither mesh1, as tokens do, nor mk1, as ids",
		"mesh1…":      "mesh1…",
		"mk1" + long:  "mk1" + long,
		"semi1 final": "semi1 final",
	} {
		if got := proto.HideSecrets(message); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}

func TestFindSecrets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"--wait":                   "",
		"mesh1abcdefgh":            "mesh1********",
		"--peer=mesh1abcdefgh,x":   "--peer=mesh1********,x",
		"mi1abcdefgh, mv1abcdefgh": "mi1********, mv1********",
		"@mesh1":                   "@mesh1",
	} {
		got := []byte(text)
		for _, at := range proto.FindSecrets(text) {
			copy(got[at[0]:at[1]], strings.Repeat("*", at[1]-at[0]))
		}
		if want == "" {
			want = text
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
