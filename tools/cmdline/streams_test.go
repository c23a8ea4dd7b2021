package cmdline_test

import (
	"errors"
	"strings"
	"testing"

	"mesh/tools/cmdline"
)

// A message is one line, and repeats no secret, as an error or as a warning.
func TestMessagesHideSecrets(t *testing.T) {
	t.Parallel()
	err := errors.New("\x1b[2J no file\nmesh1abcdefghijklmnopqrstuvwxyz234567")
	for _, tt := range []struct {
		kind  string
		print func(cmdline.Streams)
	}{
		{"error", func(s cmdline.Streams) { s.Complain(err) }},
		{"warning", func(s cmdline.Streams) { s.Warn(err) }},
		{"warning", func(s cmdline.Streams) { s.Warnings()(err) }},
	} {
		var got strings.Builder
		tt.print(cmdline.Streams{Name: "mesh-cat", Err: &got})
		want := "mesh-cat: " + tt.kind + `: \x1b[2J no file\nmesh1…` + "\n"
		if got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	}
}
