package cmdline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

// TestPrecedence: the command line, the environment, [jobs.NAME], [peers.NAME], [call], the
// default.
func TestPrecedence(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	const file = "[call]\nwait = '1s'\n[peers.bob]\nwait = '2s'\n[peers.\"a.b\"]\nwait = '3s'\n[listen]\nwait = '4s'\n[jobs.db]\nwait = '5s'\n[jobs.\"w.b\"]\nwait = '6s'\n[jobs.none]\nvia = 'tcp'\n"
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		tool, line string
		env        string // MESH_CALL_WAIT, or MESH_LISTEN_WAIT of listen
		peer       string // MESH_PEER
		want       time.Duration
	}{
		{"cat", "--wait 9s bob", "8s", "", 9 * time.Second},
		{"cat", "bob", "8s", "", 8 * time.Second},
		{"cat", "bob", "", "", 2 * time.Second},
		{"cat", "a.b", "", "", 3 * time.Second},
		{"cat", "carol", "", "", time.Second},
		{"cat", "", "", "bob", 2 * time.Second},
		{"cat", "carol", "", "bob", time.Second},
		{"cat", "", "", "", 0}, // calls nobody
		{"cat", "", "8s", "", 0},
		{"recv", "bob", "", "", 2 * time.Second},
		{"recv", "", "8s", "bob", 0}, // waits for a peer
		{"cat", "--job db bob", "", "", 5 * time.Second},
		{"cat", "--job db carol", "", "", 5 * time.Second},
		{"cat", "--job db bob", "8s", "", 8 * time.Second},
		{"cat", "--job db --wait 9s bob", "8s", "", 9 * time.Second},
		{"cat", "--job w.b", "", "bob", 6 * time.Second},
		{"cat", "--job none bob", "", "", 2 * time.Second},
		{"cat", "--job none carol", "", "", time.Second},
		{"cat", "--job other bob", "", "", 2 * time.Second},
		{"recv", "--job db", "8s", "", 5 * time.Second}, // waits for a peer
		{"recv", "--job other", "8s", "", 0},
		{"tty", "bob", "8s", "", 8 * time.Second},
		{"tty", "--share bob", "8s", "", 0},
		{"listen", "", "", "", 4 * time.Second},
		{"listen", "", "8s", "", 8 * time.Second},
		{"listen", "--wait 9s", "8s", "", 9 * time.Second},
		{"sum", "", "8s", "", 0}, // reads no settings
	} {
		t.Setenv("MESH_PEER", tt.peer)
		t.Setenv("MESH_CALL_WAIT", "")
		t.Setenv("MESH_LISTEN_WAIT", "")
		if tt.tool == "listen" {
			t.Setenv("MESH_LISTEN_WAIT", tt.env)
		} else {
			t.Setenv("MESH_CALL_WAIT", tt.env)
		}
		got, err := readWait(t, tt.tool, tt.line)
		if err != nil || got != tt.want {
			t.Errorf("mesh-%s %s, environment %q: got %v, %v, want %v", tt.tool, tt.line, tt.env, got, err, tt.want)
		}
	}
}

// readWait returns what --wait is for a command line of a tool.
func readWait(t *testing.T, tool, line string) (time.Duration, error) {
	t.Helper()
	command := func() *cli.Command {
		return &cli.Command{Name: tool, Flags: []cli.Flag{cmdline.Wait(), &cli.BoolFlag{Name: "share"}, &cli.StringFlag{Name: "job"}}}
	}
	read := func(c *cli.Context) (time.Duration, error) { return c.Duration("wait"), nil }
	return cmdlinetest.Read(t, command, read, strings.Fields(line)...)
}

// TestWrongSettings: an error names the place of the value.
func TestWrongSettings(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	path := filepath.Join(home, "config.toml")
	for _, tt := range []struct{ file, env, want string }{
		{"[jobs.DB]\nwait = '1s'\n", "", path + `:1: jobs.DB: "DB" is not the name of a job`},
		{"[jobs.db]\nlisten = '1s'\n", "", path + ":2: jobs.db.listen: unknown key"},
		{"[call]\nretry-for = '1s'\n", "", path + ":2: call.retry-for: unknown key"},
		{"[call]\nwait = 'soon'\n", "", path + `:2: call.wait: "soon" is not a valid value of --wait`},
		{"[call]\nwait = '-1s'\n", "", path + ":2: call.wait: flag --wait: -1s is not a positive duration"},
		{"[call]\nwait = 1\n", "", path + ":2: call.wait: want a text"},
		{"[call]\nwaits = '1s'\n", "", path + ":2: call.waits: unknown key"},
		{"[call]\n", "soon", `environment: MESH_CALL_WAIT: "soon" is not a valid value of --wait`},
	} {
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("MESH_CALL_WAIT", tt.env)
		_, err := readWait(t, "cat", "bob")
		xtest.WantCode(t, tt.file, err, proto.Config)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.file, err, tt.want)
		}
	}
}
