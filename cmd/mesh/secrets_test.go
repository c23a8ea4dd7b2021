//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
)

// newSecret returns a token for one node, of a listener that is not there.
func newSecret(t *testing.T) string {
	t.Helper()
	tok, err := token.NewCapability(xtest.NewKey(t), proto.AllCaps, time.Hour, 1, identity.ID{}, []string{"127.0.0.1:9"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shows reports whether a text has a part of a secret.
func shows(text, secret string) bool {
	for i := len(proto.TokenPrefix); i+10 <= len(secret); i += 5 {
		if strings.Contains(text, secret[i:i+10]) {
			return true
		}
	}
	return false
}

// secretLines returns command lines with a secret in the place of each value of each
// flag of each tool, of each argument, and in places where no value stands.
func secretLines(secret string) [][]string {
	var lines [][]string
	var walk func(path []string, c *cli.Command)
	walk = func(path []string, c *cli.Command) {
		tails := [][]string{{}, {secret}, {secret, secret}, {"bob", secret}, {"--", secret}}
		if c.Name == "tty" {
			tails = append(tails, []string{"--share", "--headless", "--", "true"})
		}
		var common []string
		add := func(flag ...string) {
			for i, tail := range tails {
				if len(flag) > 0 && (i == 2 || i == 3) {
					continue // these are for the arguments alone
				}
				lines = append(lines, slices.Concat(path, flag, common, tail))
			}
		}
		names := map[string]bool{}
		for _, f := range c.Flags {
			names[f.Names()[0]] = true
		}
		for _, f := range c.Flags {
			common = nil
			for _, with := range [][2]string{{"deadline", "80ms"}, {"events", "ev"}, {"tls-cert", "missing"}, {"tls-key", "missing"}} { // without a certificate, a hub ends
				if names[with[0]] && f.Names()[0] != with[0] {
					common = append(common, "--"+with[0], with[1])
				}
			}
			if names["verbose"] && f.Names()[0] != "verbose" {
				common = append(common, "-vv")
			}
			for _, name := range f.Names() {
				dashes := "--"
				if len(name) == 1 {
					dashes = "-"
				}
				if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
					add(dashes+name, secret)
				} else {
					add(dashes + name + "=" + secret)
				}
			}
		}
		add()
		add("--" + secret)
		add("-" + secret)
		for _, s := range c.Subcommands {
			walk(append(slices.Clone(path), s.Name), s)
		}
	}
	for _, construct := range slices.Concat(tools, commands) {
		c := construct()
		walk([]string{"mesh", c.Name}, c)
	}
	for _, words := range []string{"", "help", "install", "install --dir", "completion", "completion bash", "--", "--list"} {
		lines = append(lines, append(append([]string{"mesh"}, strings.Fields(words)...), secret))
	}
	return lines
}

// TestSecretsNotPrinted gives a token in every wrong place. No message, log or error of
// an event may repeat it.
func TestSecretsNotPrinted(t *testing.T) {
	t.Parallel()
	secret := newSecret(t)
	lines := secretLines(secret)
	if len(lines) < 300 {
		t.Errorf("got %d lines, want hundreds", len(lines))
	}
	dir := t.TempDir()
	if code := begin(t, dir, nil, "mesh-token", "id").code(t); code != proto.OK {
		t.Fatalf("ended with %v", code)
	}
	places := make(chan struct{}, 6) // for the processes that run at a time
	for _, words := range lines {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			own := t.TempDir()
			p := begin(t, own, func(c *exec.Cmd) { c.Env = append(c.Env, "MESH_HOME="+filepath.Join(dir, "home")) }, words[0], words[1:]...)
			code := p.code(t)
			shown := strings.ReplaceAll(strings.Join(words, " "), secret, "TOKEN")
			if shows(p.stderr.String(), secret) {
				t.Errorf("%s: ended with %v and printed the token: %s", shown, code, p.stderr.String())
			}
			if ev, _ := os.ReadFile(filepath.Join(own, "ev")); shows(string(ev), secret) {
				t.Errorf("%s: wrote the token into an event: %s", shown, ev)
			}
		})
	}
}

// TestSecretsNotPrintedFromSettings gives a token as each setting.
func TestSecretsNotPrintedFromSettings(t *testing.T) {
	t.Parallel()
	secret := newSecret(t)
	places := make(chan struct{}, 6)
	for _, s := range cmdline.Settings {
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			key := strings.Replace(s.Key, "*", "bob", 1)
			table, name, _ := strings.Cut(key, ".")
			if at := strings.LastIndexByte(key, '.'); table == "peers" {
				table, name = key[:at], key[at+1:]
			}
			r := newStateRun(t, "config.toml", "mesh-token peer add --addr 127.0.0.1:9 bob $BOB")
			text := fmt.Sprintf("[%s]\n%s = %q\n", table, name, secret)
			if err := os.WriteFile(filepath.Join(r.dir, "home", "config.toml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{
				"mesh-cat --deadline 80ms -v bob </dev/null", "mesh-listen --deadline 80ms -v --inbox . --listen 127.0.0.1:0",
				"mesh-tty --share --headless --deadline 80ms -v -- true",
			} {
				if code, text := r.run(t, line); shows(text, secret) {
					t.Errorf("%s: ended with %v and printed the token: %s", line, code, text)
				}
			}
		})
	}
}

// TestArgumentsHidden wants a token on the command line to be unreadable for other
// users soon after the start, and the tool to have it.
func TestArgumentsHidden(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("no /proc")
	}
	secret := newSecret(t)
	invite := "mi1" + secret[len(proto.TokenPrefix):]
	for _, words := range [][]string{
		{"mesh-cat", "--wait", "20s", "-q", secret},
		{"mesh", "cat", "--wait", "20s", secret},
		{"mesh-recv", "--wait=20s", secret},
		{"mesh-tty", "--wait", "20s", "--cast", secret},
		{"mesh-listen", "--wait", "20s", "--listen", "127.0.0.1:0", "--", "mesh-cat", secret, invite},
	} {
		p := begin(t, t.TempDir(), func(c *exec.Cmd) { c.Stdin, _ = os.Open("/dev/zero") }, words[0], words[1:]...)
		var shown string
		poll(t, "a hidden token", func() bool {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process.Pid))
			shown = string(text)
			return strings.Contains(shown, proto.TokenPrefix+"*") || ended(p)
		})
		hidden := strings.Repeat("*", len(secret)-len(proto.TokenPrefix))
		want := strings.NewReplacer(secret, proto.TokenPrefix+hidden, invite, "mi1"+hidden).Replace(strings.Join(words, "\x00") + "\x00")
		if shown = shown[strings.LastIndexByte(shown[:strings.IndexByte(shown+"\x00", 0)], '/')+1:]; shown != want {
			t.Errorf("got %q, want %q: %s", shown, want, p.stderr.String())
		}
	}
}

// TestTokenFileOfOthers wants no token to be written where another user could read it.
func TestTokenFileOfOthers(t *testing.T) {
	t.Parallel()
	const stranger = 4711
	for what, tt := range map[string]struct {
		make func(path string) error
		want proto.Code
	}{
		"nothing":       {func(string) error { return nil }, proto.Timeout},
		"an old file":   {func(path string) error { return os.WriteFile(path, []byte("old"), 0o644) }, proto.Timeout},
		"a FIFO":        {func(path string) error { return unix.Mkfifo(path, 0o600) }, proto.Unsafe},
		"a folder":      {func(path string) error { return os.Mkdir(path, 0o700) }, proto.Unsafe},
		"a device":      {func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) }, proto.Unsafe},
		"a link":        {func(path string) error { return os.Symlink("other", path) }, proto.Unsafe},
		"a link to tty": {func(path string) error { return os.Symlink("/dev/stderr", path) }, proto.Unsafe},
		"of a stranger": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				return err
			}
			return os.Chown(path, stranger, stranger)
		}, proto.Unsafe},
	} {
		for _, line := range []string{"mesh-recv --token-file f", "mesh-tty --share --headless --token-file f -- sleep 20"} {
			if strings.HasPrefix(line, "mesh-tty") && tt.want != proto.Unsafe {
				continue
			}
			r := newStateRun(t, "f", "mesh-token id")
			path := filepath.Join(r.dir, "f")
			if err := tt.make(path); err != nil {
				t.Logf("%s: %v", what, err) // only root can
				continue
			}
			before, _ := os.Lstat(path)
			code, text := r.run(t, strings.Replace(line, " --", " --listen 127.0.0.1:0 --deadline 200ms --", 1))
			if code != tt.want {
				t.Errorf("%s: %s ended with %v, want %v: %s", what, line, code, tt.want, text)
			}
			after, err := os.Lstat(path)
			switch {
			case tt.want == proto.Unsafe && (err != nil || after.Mode() != before.Mode() || after.Size() != before.Size()):
				t.Errorf("%s: got %v (%v), want %v", what, after, err, before)
			case tt.want != proto.Unsafe && (err != nil || after.Mode() != 0o600 || after.Size() < 100):
				t.Errorf("%s: got %v (%v), want a token with mode 0600", what, after, err)
			}
		}
	}
}

// TestEventsOfOthers wants no token to be written into another user's file.
func TestEventsOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	r := newStateRun(t, "ev", "echo theirs >ev; chown 4711 ev")
	code, text := r.run(t, "mesh-recv --listen 127.0.0.1:0 --deadline 200ms --events ev")
	if got := string(r.read(t, "ev")); code != proto.Unsafe || got != "theirs\n" {
		t.Errorf("ended with %v, want %v, and the file has %q: %s", code, proto.Unsafe, got, text)
	}
}
