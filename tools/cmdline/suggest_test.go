package cmdline

import "testing"

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
