package escape_test

import (
	"testing"

	"mesh/pipe/term/escape"
)

func TestFirst(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"q": "q", "ab": "a", "\x1b": "\x1b", "\x1bq": "\x1b", "\x1b\x1b[A": "\x1b",
		"\x1b[": "\x1b[", "\x1b[5": "\x1b[5", "\x1b[5~q": "\x1b[5~", "\x1b[5;2~\x1b[A": "\x1b[5;2~",
		"\x1b[A\x1b[B": "\x1b[A", "\x1bOA\x1bOB": "\x1bOA", "\x1bO": "\x1bO", "\x1b[1\r": "\x1b[1",
	} {
		if got := keys[:escape.First([]byte(keys))]; got != want {
			t.Errorf("%q: got %q, want %q", keys, got, want)
		}
	}
}
