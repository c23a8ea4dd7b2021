package keys_test

import (
	"testing"

	"mesh/pipe/term/keys"
)

func TestScan(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		key   string
		whole bool
	}{
		"q": {"q", true}, "ab": {"a", true}, "\x1b": {"\x1b", false}, "\x1bq": {"\x1b", true}, "\x1b\x1b[A": {"\x1b", true},
		"\x1b[": {"\x1b[", false}, "\x1b[5": {"\x1b[5", false}, "\x1b[5~q": {"\x1b[5~", true}, "\x1b[5;2~\x1b[A": {"\x1b[5;2~", true},
		"\x1b[A\x1b[B": {"\x1b[A", true}, "\x1bOA\x1bOB": {"\x1bOA", true}, "\x1bO": {"\x1bO", false}, "\x1b[1\r": {"\x1b[1", true},
		"\x1b[[": {"\x1b[[", false}, "\x1b[[Ax": {"\x1b[[A", true}, "\x1b[[\r": {"\x1b[[", true}, "\x1bO\r": {"\x1bO", true},
		"\x1b]0;": {"\x1b", true}, "ä": {"\xc3", true},
	} {
		n, whole := keys.Scan([]byte(in))
		if got := in[:n]; got != want.key || whole != want.whole {
			t.Errorf("%q: got %q, whole %v; want %q, %v", in, got, whole, want.key, want.whole)
		}
	}
}
