package cmdline

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"cat", "recv", "listen", "tty", "token", "sum", "completion", "v", "q"}
	for word, want := range map[string]string{
		"cta": "cat", "caat": "cat", "rcev": "recv", "receive": "", "lisen": "listen", "listne": "listen", "tokens": "token",
		"completions": "completion", "comlpetoin": "completion", "": "", "c": "", "sm": "", "dog": "", "entirely": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

// Each hint about a flag of another tool is about a flag that this tool lacks, and no verb
// of another program is a tool or command here.
func TestHintsFit(t *testing.T) {
	t.Parallel()
	for verb := range verbs {
		for _, name := range []string{"cat", "recv", "listen", "tty", "token", "sum", "help", "install", "completion"} {
			if verb == name {
				t.Errorf("%s is a tool, and has a hint for its absence", verb)
			}
		}
	}
	for flag := range flagsElsewhere {
		tool, name, found := strings.Cut(flag, " ")
		if !found || name == "" {
			t.Errorf("%q is not a tool and a flag", flag)
		}
		if slices.Contains(strings.Fields(brief[tool]), name) {
			t.Errorf("mesh-%s has --%s, and a hint for its absence", tool, name)
		}
	}
}
