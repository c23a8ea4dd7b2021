//go:build unix

package node_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// A token for many uses is printed only where a person reads it and peers need it, or
// when it is asked for.
func TestShowToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what                            string
		once, temporary                 bool
		terminal, file, show, events    bool
		allowed                         proto.Caps // of a node in authorized_peers
		wantPrinted, wantFile, wantNote bool
	}{
		{what: "a log", wantNote: true},
		{what: "a log, with a file", file: true, wantFile: true},
		{what: "a log, asked for", show: true, wantPrinted: true},
		{what: "a log, asked for both", show: true, file: true, wantPrinted: true, wantFile: true},
		{what: "a log, with events", events: true},
		{what: "a log, allowed by key", allowed: proto.CapSend},
		{what: "a log, allowed by key to do something else", allowed: proto.CapTTYView, wantNote: true},
		{what: "a log, one peer", once: true, wantPrinted: true},
		{what: "a log, one peer with a file", once: true, file: true, wantFile: true},
		{what: "a log, one peer by key", once: true, allowed: proto.CapSend, wantPrinted: true},
		{what: "a log, a shared terminal", temporary: true, wantNote: true},
		{what: "a terminal", terminal: true, wantPrinted: true},
		{what: "a terminal, with events", terminal: true, events: true, wantPrinted: true},
		{what: "a terminal, with a file", terminal: true, file: true, wantFile: true},
		{what: "a terminal, allowed by key", terminal: true, allowed: proto.CapSend, wantNote: true},
		{what: "a terminal, allowed by key, asked for", terminal: true, allowed: proto.CapSend, show: true, wantPrinted: true},
		{what: "a terminal, a shared terminal by key", terminal: true, temporary: true, allowed: proto.CapSend, wantPrinted: true},
	} {
		var text func() string
		n := newNode(t, func(o *node.Options) {
			if !tt.events {
				o.Events = nil
			}
			o.Stderr, text = stderr(t, tt.terminal)
		})
		if tt.allowed != 0 {
			if err := n.Book.Allow(xtest.NewKey(t).ID(), tt.allowed); err != nil {
				t.Fatal(err)
			}
		}
		o := node.Offer{
			Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, TTL: time.Hour,
			Once: tt.once, Temporary: tt.temporary, ShowToken: tt.show, Command: "mesh-cat",
		}
		name := filepath.Join(t.TempDir(), "token")
		if tt.file {
			o.TokenFile = name
		}
		n.wait(t, o)
		got := text()
		if strings.Contains(got, "mesh1") != tt.wantPrinted {
			t.Errorf("%s: got %q on standard error, want the token: %v", tt.what, got, tt.wantPrinted)
		}
		if strings.Contains(got, "--show-token") != tt.wantNote {
			t.Errorf("%s: got %q on standard error, want a note: %v", tt.what, got, tt.wantNote)
		}
		if _, err := os.Stat(name); (err == nil) != tt.wantFile {
			t.Errorf("%s: got %v, want a token file: %v", tt.what, err, tt.wantFile)
		}
		if tt.events {
			n.token(t, 0)
		}
	}
}

// stderr returns a standard error, and the function that closes it and returns what was
// written.
func stderr(t *testing.T, terminal bool) (io.Writer, func() string) {
	t.Helper()
	if !terminal {
		b := new(buffer)
		return b, b.String
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	return slave, func() string {
		_ = slave.Close()
		text, _ := io.ReadAll(master) // ends with EIO
		return string(text)
	}
}
