//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mesh/proto"
)

// mesh-hub who without a word prints who is online at the hubs of the node, each name once.
// A hub that is down is a warning; one that hides those who share no room with this node
// shows none of them, not to an admin either.
func TestHubWho(t *testing.T) {
	t.Parallel()
	dir := func() string {
		t.Helper()
		d, err := os.MkdirTemp("", "hub")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(d) })
		return d
	}
	bob, carol := dir(), dir()
	open, hidden, down := beginHub(t, dir(), nil), beginHub(t, dir(), nil, "--visible", "rooms"), beginHub(t, dir(), nil)
	url := func(h *aHub) string { return strings.TrimSpace(strings.TrimPrefix(h.line, "mesh-hub join ")) }
	down.stop(t)
	alice := map[*aHub]string{open: dir(), hidden: dir()}
	for h, a := range alice {
		for _, node := range []string{a, bob, carol} {
			h.admin(t, proto.OK, "member", "add", nodeID(t, node))
		}
		text := "admin " + nodeID(t, a) + "\n"
		if err := os.WriteFile(filepath.Join(h.dir, "hub_access"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both := url(open) + " " + url(hidden)
	k := &killedHub{aHub: open, t: t}
	k.beginLogged(bob, nil, "mesh-listen", "--hub", both, "--listen", "127.0.0.1:0", "--as", "bob", "--room", "ops", "--", "cat").awaitTwice("this is bob")
	k.beginLogged(carol, nil, "mesh-recv", "--hub", both, "--listen", "127.0.0.1:0", "--as", "carol").awaitTwice("this is carol")
	bobLine := "bob\t" + nodeID(t, bob) + "\tpipe\t"
	carolLine := "carol\t" + nodeID(t, carol) + "\tpipe\t"
	for _, tt := range []struct {
		name, home, hubs string
		code             proto.Code
		want             string // the beginnings of lines
		warn             bool
	}{
		{"one hub", alice[open], url(open), proto.OK, bobLine + "|" + carolLine, false},
		{"a member that is online itself", carol, url(open), proto.OK, bobLine + "|" + carolLine, false},
		{"no room is shared", alice[hidden], url(hidden), proto.OK, "", false},
		{"oneself at a hub that hides", carol, url(hidden), proto.OK, carolLine, false},
		{"two hubs", carol, both, proto.OK, bobLine + "|" + carolLine, false},
		{"a hub is down", alice[open], url(down) + " " + url(open), proto.OK, bobLine + "|" + carolLine, true},
		{"all are down", alice[open], url(down), proto.Unreachable, "", false},
		{"not a member", dir(), url(open), proto.Denied, "", false},
		{"no hub", dir(), "", proto.Usage, "", false},
	} {
		var out, text strings.Builder
		args := []string{"who"}
		if tt.hubs != "" {
			args = append(args, "--hub", tt.hubs)
		}
		p := begin(t, tt.home, func(c *exec.Cmd) { c.Stdout = &out }, "mesh-hub", args...)
		if code := p.code(t); code != tt.code {
			t.Errorf("%s: got %v, want %v: %s", tt.name, code, tt.code, p.stderr.Bytes())
			continue
		}
		if warned := strings.Contains(p.stderr.String(), "warning: hub 127.0.0.1"); warned != tt.warn {
			t.Errorf("%s: got a warning %v, want %v: %s", tt.name, warned, tt.warn, p.stderr.Bytes())
		}
		since := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
		var lines []string
		for line := range strings.Lines(out.String()) {
			lines = append(lines, since.ReplaceAllString(strings.TrimSpace(line), ""))
		}
		if got := strings.Join(lines, "|"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if tt.code != proto.OK {
			continue
		}
		var got struct {
			Items []struct{ Name, Node string }
		}
		p = begin(t, tt.home, func(c *exec.Cmd) { c.Stdout = &text }, "mesh-hub", append(args, "--json")...)
		if code := p.code(t); code != proto.OK || json.Unmarshal([]byte(text.String()), &got) != nil || len(got.Items) != len(lines) {
			t.Errorf("%s: --json: got %v and %s, want %d items", tt.name, code, text.String(), len(lines))
		}
	}
}

// awaitTwice waits until a tool has said something at two hubs.
func (l *logged) awaitTwice(text string) {
	l.t.Helper()
	poll(l.t, "it says twice "+text, func() bool { return strings.Count(l.said(), text) >= 2 })
}
