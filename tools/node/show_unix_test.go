//go:build unix

package node_test

import (
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"mesh/pipe/term/qr"
	"mesh/proto"
	"mesh/proto/wire"
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

// A QR code has the token in upper case, and the clipboard gets the command. What cannot
// be drawn or read is said.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what         string
		qr, copy     bool
		cols, rows   uint16
		noColors     bool
		drawn, short bool
	}{
		{what: "neither", cols: 80, rows: 24},
		{what: "a QR code", qr: true, cols: 80, rows: 24, drawn: true},
		{what: "a QR code without colours", qr: true, cols: 80, rows: 24, noColors: true, drawn: true},
		{what: "the smallest terminal", qr: true, cols: 45, rows: 23, drawn: true},
		{what: "a narrow terminal", qr: true, cols: 44, rows: 24, short: true},
		{what: "a low terminal", qr: true, cols: 80, rows: 22, short: true},
		{what: "the clipboard", copy: true, cols: 20, rows: 3},
		{what: "both", qr: true, copy: true, cols: 80, rows: 24, drawn: true},
	} {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		if err := pty.Setsize(slave, &pty.Winsize{Cols: tt.cols, Rows: tt.rows}); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, func(o *node.Options) { o.Stderr, o.ANSI = slave, !tt.noColors })
		file := filepath.Join(t.TempDir(), "token")
		n.wait(t, node.Offer{
			Caps: proto.CapSend, Tokens: []node.TokenOffer{{Caps: proto.CapSend}}, TTL: time.Hour, Once: true, Addrs: []string{"192.0.2.1:4600"},
			ShowToken: true, TokenFile: file, Command: "mesh-cat", QR: tt.qr, Copy: tt.copy,
		})
		_ = slave.Close()
		raw, _ := io.ReadAll(master) // ends with EIO
		got := strings.ReplaceAll(string(raw), "\r\n", "\n")
		token, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(string(token))
		code, err := qr.New(strings.ToUpper(text))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, code.Text(!tt.noColors)) != tt.drawn || strings.ContainsAny(got, "▀▄█") != tt.drawn {
			t.Errorf("%s: got %q, want the QR code of the token: %v", tt.what, got, tt.drawn)
		}
		if strings.Contains(got, "no QR code: it needs 45 columns and 23 rows") != tt.short {
			t.Errorf("%s: got %q, want that there is no room: %v", tt.what, got, tt.short)
		}
		sequence := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("mesh-cat "+text)) + "\a"
		if strings.Contains(got, sequence) != tt.copy || strings.Contains(got, "clipboard") != tt.copy {
			t.Errorf("%s: got %q, want the command in the clipboard: %v", tt.what, got, tt.copy)
		}
	}
}

// Of the two tokens of an offer, both are drawn, and the first is copied.
func TestHandOverTwo(t *testing.T) {
	t.Parallel()
	terminal, text := stderr(t, true)
	n := newNode(t, func(o *node.Options) { o.Stderr, o.ANSI = terminal, true })
	file := filepath.Join(t.TempDir(), "token")
	n.wait(t, node.Offer{
		Caps: proto.CapTTYView | proto.CapTTYControl, Tokens: []node.TokenOffer{{Caps: proto.CapTTYView}, {Caps: proto.CapTTYControl, Suffix: ".control"}},
		Temporary: true, ShowToken: true, TokenFile: file, Command: "mesh-tty", QR: true, Copy: true, Addrs: []string{"192.0.2.1:4600"},
	})
	got := strings.ReplaceAll(text(), "\r\n", "\n")
	for i, suffix := range []string{"", ".control"} {
		token, err := os.ReadFile(file + suffix)
		if err != nil {
			t.Fatal(err)
		}
		code, err := qr.New(strings.ToUpper(strings.TrimSpace(string(token))))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got, code.Text(true)) {
			t.Errorf("got %q, want the QR code of token %d", got, i)
		}
	}
	if n := strings.Count(got, "\x1b]52;"); n != 1 {
		t.Errorf("got %d commands for the clipboard, want 1", n)
	}
}

// A code, too, is drawn in upper case, and copied with the whole command.
func TestCodeHandOver(t *testing.T) {
	t.Parallel()
	h := openHub(t)
	terminal, text := stderr(t, true)
	bob := newNode(t, func(o *node.Options) { at("", h.URL())(o); o.Stderr, o.ANSI = terminal, true })
	if err := h.AddMember(bob.Key.ID()); err != nil {
		t.Fatal(err)
	}
	o := once(wire.KindFiles)
	o.QR, o.Copy, o.Operand = true, true, "FILE…"
	bob.wait(t, o)
	got := strings.ReplaceAll(text(), "\r\n", "\n")
	m := shownCode.FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("got %q, want a code", got)
	}
	drawn, err := qr.New(strings.ToUpper(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	if want := drawn.Text(true); !strings.Contains(got, want) {
		t.Errorf("got %q, want the QR code\n%s", got, want)
	}
	if want := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("mesh-cat "+m[1]+" FILE…")) + "\a"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What nobody would see is refused before there is a token.
func TestHandOverRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what     string
		terminal bool
		offer    node.Offer
		words    string
	}{
		{"a log", false, node.Offer{QR: true}, "--qr needs a terminal"},
		{"a log, to copy", false, node.Offer{Copy: true}, "--copy needs a terminal"},
		{"a file", true, node.Offer{QR: true, TokenFile: "f"}, "--token-file"},
	} {
		terminal, _ := stderr(t, tt.terminal)
		n := newNode(t, func(o *node.Options) { o.Stderr = terminal })
		o := tt.offer
		o.Caps, o.Tokens, o.Once = proto.CapSend, []node.TokenOffer{{Caps: proto.CapSend}}, true
		if o.TokenFile != "" {
			o.TokenFile = filepath.Join(t.TempDir(), o.TokenFile)
		}
		_, err := n.Wait(o)
		if proto.CodeOf(err) != proto.Usage || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: got %v, want a usage error with %q", tt.what, err, tt.words)
		}
		_, _, err = n.Pair(t.Context(), node.Pairing{Offer: tt.offer})
		if proto.CodeOf(err) != proto.Usage || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s, to pair: got %v, want a usage error with %q", tt.what, err, tt.words)
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
