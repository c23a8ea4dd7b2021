package cat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/xtest"
	"mesh/tools/cmdline/cmdlinetest"
)

// Each of several peers has the settings of its own table, and what holds for the node
// allows what any of them needs.
func TestBranchSettings(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	const file = "[call]\nwait = '1s'\nvia = 'tcp'\nresume-for = '5s'\n[peers.nas1]\nwait = '2s'\ntrust = 'pinned'\nflows = 3\n[peers.nas2]\nvia = 'lan'\nresume-for = '0'\n"
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(args string) options {
		t.Helper()
		o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	tcp, lan := path.Via{Transport: proto.ViaTCP}, path.Via{Kind: path.LAN}

	o := read("--need 2 --lag 3s nas1,nas2,cloud f")
	if o.need != 2 || o.lag != 3*time.Second || len(o.files.Names) != 1 || o.node.Via != (path.Via{}) {
		t.Errorf("got need %d, lag %s, files %v, via %s", o.need, o.lag, o.files.Names, o.node.Via)
	}
	want := []branchOptions{
		{wait: 2 * time.Second, resumeFor: 5 * time.Second, flows: 3},
		{wait: time.Second},
		{wait: time.Second, resumeFor: 5 * time.Second},
	}
	want[0].terms.Via, want[0].terms.Trust, want[1].terms.Via, want[2].terms.Via = tcp, "pinned", lan, tcp
	for i, name := range []string{"nas1", "nas2", "cloud"} {
		want[i].peer.Text, want[i].peer.Argument = name, true
		if o.branches[i] != want[i] {
			t.Errorf("%s: got %+v, want %+v", name, o.branches[i], want[i])
		}
	}

	// A flag holds for all, and so does the environment.
	t.Setenv("MESH_CALL_WAIT", "7s")
	o = read("--via quic nas1,nas2")
	if o.need != 2 || o.lag != defaultLag || o.node.Via.Transport != proto.ViaQUIC {
		t.Errorf("got need %d, lag %s, via %s", o.need, o.lag, o.node.Via)
	}
	for _, b := range o.branches {
		if b.wait != 7*time.Second || b.terms.Via != (path.Via{Transport: proto.ViaQUIC}) {
			t.Errorf("%s: got wait %s, via %s", b.peer.Text, b.wait, b.terms.Via)
		}
	}

	t.Setenv("MESH_PEER", "nas1,nas2")
	_, err := cmdlinetest.Read(t, Command, optionsOf)
	xtest.WantCode(t, "a list in the environment", err, proto.OK)
}
