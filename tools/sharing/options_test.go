package sharing

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want Size
		ok   bool
	}{
		{"", Size{}, true},
		{"sharer", Size{set: true, policy: share.SizeSharer}, true},
		{"writer", Size{set: true, policy: share.SizeWriter}, true},
		{"80x24", Size{true, share.SizeFixed, 80, 24}, true},
		{"2x1", Size{true, share.SizeFixed, 2, 1}, true},
		{"1x1", Size{}, false},
		{"2x0", Size{}, false},
		{fmt.Sprintf("%dx%d", proto.MaxTermCols, proto.MaxTermRows), Size{true, share.SizeFixed, proto.MaxTermCols, proto.MaxTermRows}, true},
		{fmt.Sprintf("%dx24", proto.MaxTermCols+1), Size{}, false},
		{fmt.Sprintf("80x%d", proto.MaxTermRows+1), Size{}, false},
		{"80", Size{}, false},
		{"x", Size{}, false},
		{"80x24x1", Size{}, false},
		{"80x-1", Size{}, false},
		{"viewer", Size{}, false},
	} {
		got, err := parseSize(tt.text)
		if (err == nil) != tt.ok || got != tt.want && tt.ok {
			t.Errorf("%q: got %+v, %v, want %+v, %t", tt.text, got, err, tt.want, tt.ok)
		}
		if err != nil {
			xtest.WantCode(t, tt.text, err, proto.Usage)
		}
	}
}

func TestRead(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	tool := func() *cli.Command {
		return &cli.Command{Name: "probe", Flags: append(Flags("share"), cmdline.Verbose())}
	}
	o, err := cmdlinetest.Read(t, tool, Read, "--control", "--record", "r", "--audit", "a", "--history", "1M", "--size", "90x20", "-vv")
	if err != nil || !o.Control || o.Record != "r" || o.Audit != "a" || o.History != 1<<20 || o.Verbose != 2 || o.Size != (Size{true, share.SizeFixed, 90, 20}) {
		t.Errorf("got %+v, %v", o, err)
	}
	if o.SocketDir != home+"/tty" || !slices.Contains(o.Environ, "MESH_HOME="+home) {
		t.Errorf("got %s and %q, want what the environment has", o.SocketDir, o.Environ)
	}
	if o, err = cmdlinetest.Read(t, tool, Read); err != nil || o.History != share.DefaultHistory || o.Size != (Size{}) {
		t.Errorf("without flags: got %+v, %v", o, err)
	}
	for _, bad := range []string{"--size=80", "--history=1", "--history=2G"} {
		_, err := cmdlinetest.Read(t, tool, Read, bad)
		xtest.WantCode(t, bad, err, proto.Usage)
	}
}

// pipes returns streams that are not a terminal.
func pipes(t *testing.T) cmdline.Streams {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return cmdline.Streams{Name: "mesh-tty", In: null, Out: null, Err: null}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if !pty.Supported {
		t.Skip("no command can be shared here")
	}
	s := pipes(t)
	for _, tt := range []struct {
		what string
		o    Options
		want proto.Code
	}{
		{"no terminal here", Options{}, proto.Usage},
		{"no terminal here, and a command", Options{Command: []string{"true"}}, proto.Usage},
		{"headless", Options{Headless: true}, proto.OK},
		{"headless command", Options{Headless: true, Command: []string{"true"}}, proto.OK},
		{"no such command", Options{Headless: true, Command: []string{"no-such-command"}}, proto.IO},
		{"stream", Options{Stream: true}, proto.OK},
		{"stream and headless", Options{Stream: true, Headless: true}, proto.Usage},
		{"stream and command", Options{Stream: true, Command: []string{"true"}}, proto.Usage},
	} {
		xtest.WantCode(t, tt.what, tt.o.Check(s), tt.want)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	s := pipes(t)
	environ := []string{"SHELL=/bin/dash", "TERM=vt100", "MESH_PEER=mesh1secret"}
	fixed := Size{true, share.SizeFixed, 90, 20}
	for _, tt := range []struct {
		what       string
		o          Options
		size       share.SizePolicy
		cols, rows int
		command    []string
	}{
		{"headless", Options{Headless: true, Environ: environ}, share.SizeWriter, 80, 24, []string{"/bin/dash"}},
		{"headless, of the sharer's size", Options{Headless: true, Environ: environ, Size: Size{set: true, policy: share.SizeSharer}}, share.SizeSharer, 80, 24, []string{"/bin/dash"}},
		{"headless, of a fixed size", Options{Headless: true, Command: []string{"top"}, Size: fixed}, share.SizeFixed, 90, 20, []string{"top"}},
		{"no SHELL", Options{Headless: true}, share.SizeWriter, 80, 24, []string{"/bin/sh"}},
		{"stream", Options{Stream: true}, share.SizeSharer, 80, 24, nil},
	} {
		h := tt.o.host(s)
		if h.Size != tt.size || h.Cols != tt.cols || h.Rows != tt.rows || !slices.Equal(h.Command, tt.command) {
			t.Errorf("%s: got size %v, %dx%d, command %q", tt.what, h.Size, h.Cols, h.Rows, h.Command)
		}
		if (h.Stream != nil) != tt.o.Stream || h.In != nil || h.Gap == nil {
			t.Errorf("%s: got stream %v, terminal %v", tt.what, h.Stream, h.In)
		}
		if slices.Contains(h.Env, "MESH_PEER=mesh1secret") || tt.o.Headless && !slices.Contains(h.Env, "TERM=xterm-256color") {
			t.Errorf("%s: got the environment %q", tt.what, h.Env)
		}
	}
}
