//go:build unix

package nodeflags_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/path"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/nodeflags"
)

// TestMain keeps the settings and the key of the user out of the tests.
func TestMain(m *testing.M) { cmdlinetest.Main(m) }

func probe() *cli.Command {
	return &cli.Command{Name: "probe", ArgsUsage: "PEER", Flags: nodeflags.Flags(nodeflags.ListenFlags()...)}
}

func read(c *cli.Context) (nodeflags.Options, error) { return nodeflags.Read(c), nil }

func TestRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		want func(*nodeflags.Options)
	}{
		{"", func(*nodeflags.Options) {}},
		{"--via quic", func(o *nodeflags.Options) { o.Via.Transport = "quic" }},
		{"--via direct,tcp", func(o *nodeflags.Options) { o.Via = path.Via{Transport: "tcp", Kind: path.Direct} }},
		{"--window 1M --spool 2G", func(o *nodeflags.Options) { o.Window, o.Spool = 1<<20, 2<<30 }},
		{"--resume-for 0", func(o *nodeflags.Options) { o.ResumeFor = 0 }},
		{"-q -v --events f", func(o *nodeflags.Options) { o.Quiet, o.Verbose, o.Events = true, 1, "f" }},
		{"--listen :4600", func(*nodeflags.Options) {}}, // only for a tool that waits
	} {
		got, err := cmdlinetest.Read(t, probe, read, strings.Fields(tt.args)...)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		want := nodeflags.Options{Window: proto.WindowBytes, ResumeFor: cmdline.DefaultResumeFor, ANSI: got.ANSI, Verbose: got.Verbose}
		tt.want(&want)
		if got != want {
			t.Errorf("%s: got %+v, want %+v", tt.args, got, want)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exposed := filepath.Join(dir, "exposed")
	if err := os.MkdirAll(exposed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(exposed, "node.key"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(dir, "events")
	for _, tt := range []struct {
		what string
		o    nodeflags.Options
		code proto.Code
		hint string
	}{
		{"a new folder", nodeflags.Options{State: filepath.Join(dir, "new"), Events: events}, proto.OK, ""},
		{"the folder of the environment", nodeflags.Options{}, proto.OK, ""},
		{"a key that others can read", nodeflags.Options{State: exposed}, proto.Config, "chmod 600"},
		{`events to "-"`, nodeflags.Options{State: dir, Events: "-"}, proto.Usage, "--events 1 is standard output"},
		{"events to a descriptor that is not open", nodeflags.Options{State: dir, Events: "999"}, proto.Usage, "open it in the shell"},
		{"events to no folder", nodeflags.Options{State: dir, Events: filepath.Join(dir, "no", "events")}, proto.IO, ""},
	} {
		var stderr bytes.Buffer
		n, err := tt.o.Open(cmdline.Streams{Name: "mesh-probe", Err: &stderr})
		xtest.WantCode(t, tt.what, err, tt.code)
		if got := strings.Join(proto.Hints(err), " "); !strings.Contains(got, tt.hint) {
			t.Errorf("%s: got hint %q, want %q in it", tt.what, got, tt.hint)
		}
		if err == nil {
			xtest.WantCode(t, tt.what+": close", n.Close(nil), proto.OK)
		}
		if stderr.Len() > 0 {
			t.Errorf("%s: got %q on standard error", tt.what, stderr.String())
		}
	}
	if text, err := os.ReadFile(events); err != nil || !strings.Contains(string(text), `"event":"end"`) {
		t.Errorf("got events %q, %v", text, err)
	}
}

func TestForTerminal(t *testing.T) {
	t.Parallel()
	o := nodeflags.Options{Window: 1, Flows: 7, Via: path.Via{Transport: "tcp"}}.ForTerminal()
	if want := (nodeflags.Options{Window: proto.TermWindowBytes, Flows: 1, Via: path.Via{Transport: "tcp"}}); o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}
