package hub

import (
	"math/rand/v2"
	"testing"
)

// Strings may contain what looks like an object, and quotes that are escaped.
func TestDeeper(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`{"a":{"b":1}}`, false},
		{`{"a":{"b":[]}}`, true},
		{`{"a":[1,2],"b":[3]}`, false},
		{`{"a":"{[{["}`, false},
		{`{"a":"\"","b":[[1]]}`, true},
		{`{"a":"\\","b":[[1]]}`, true},
		{`{"a":"\\\"[[[","b":[1]}`, false},
		{`{"[[[":1}`, false},
		{`{"a":"`, false},
		{`{"a":"\`, false},
		{`{"a":"\"`, false},
		{`"`, false},
		{``, false},
		{`[[[`, true},
	} {
		if got := deeper([]byte(tt.text), 2); got != tt.want {
			t.Errorf("%s: deeper than 2: got %v, want %v", tt.text, got, tt.want)
		}
	}
}

// A slower reading of the same rule comes to the same result for any text.
func TestDeeperByCharacter(t *testing.T) {
	t.Parallel()
	const letters = `{[]}"\a`
	for range 100000 {
		text := make([]byte, rand.N(24))
		for i := range text {
			text[i] = letters[rand.N(len(letters))]
		}
		if got, want := deeper(text, 2), deeperByCharacter(text, 2); got != want {
			t.Fatalf("%s: deeper than 2: got %v, want %v", text, got, want)
		}
	}
}

func deeperByCharacter(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
