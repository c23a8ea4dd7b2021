//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"testing"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
)

// join joins a shared terminal as the node of settings, and has read TERM_SESSION.
func join(t *testing.T, tok attacker.Token, settings *tls.Config) (*attacker.Link, error) {
	t.Helper()
	l, err := attacker.Call(t.Context(), "tcp", tok, settings, "tty:view,tty:control", "tty")
	if err != nil {
		return nil, err
	}
	err = firstOf(l.Meta("tty"), l.Put(attacker.JSON(attacker.TermOpen, `{"mode":"raw"}`)))
	if err == nil {
		_, err = l.Await(attacker.TermSession)
	}
	return l, err
}

// A viewer that was disconnected, or lost its right to type, does not come back as
// another node with the same token.
func TestKickedViewerComesBack(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"kick", "revoke"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok",
				"--", "sh", "-c", `stty -echo; while read line; do mesh-tty ctl $line >&2; echo "ended $?"; done`)
			tok := tokenIn(t, filepath.Join(dir, "tok.control"))
			bystander := anyListener()
			victim, err := join(t, tok, anyListener())
			if err != nil {
				t.Fatal(err)
			}
			witness, err := join(t, tok, bystander)
			if err != nil {
				t.Fatal(err)
			}
			if err := witness.Put(attacker.Frame{Type: attacker.TermIn, Body: fmt.Appendf(nil, "%s 1\n", verb)}); err != nil {
				t.Fatal(err)
			}
			for text := ""; text != "ended 0\r\n"; {
				f, err := witness.Await(attacker.TermOut)
				if err != nil {
					t.Fatalf("after %q: %v", text, err)
				}
				text = lastLine(text + string(f.Body[8:]))
			}
			if verb == "kick" {
				if got := proto.Code(victim.Ended()); got != proto.Declined {
					t.Errorf("the viewer was disconnected with %v, want %v", got, proto.Declined)
				}
			}
			if _, err = join(t, tok, anyListener()); proto.Code(attacker.Status(err)) != proto.Declined {
				t.Errorf("a new node with the same token: got %v, want it closed with %v", err, proto.Declined)
			}
			if _, err := join(t, tok, bystander); err != nil {
				t.Errorf("a node that had joined before: %v", err)
			}
		})
	}
}

// lastLine returns the last line of a text, with its end.
func lastLine(text string) string {
	for i := len(text) - 2; i >= 0; i-- {
		if text[i] == '\n' {
			return text[i+1:]
		}
	}
	return text
}
