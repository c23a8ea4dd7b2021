package cmdline_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/token"
	"mesh/tools/cmdline"
)

// call runs Main with one tool, probe, and one command, state, that have the given action.
func call(t *testing.T, action cli.ActionFunc, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	in, out, errOut := open("in"), open("out"), open("err")
	probe := func() *cli.Command {
		return &cli.Command{
			Name: "probe", Usage: "do as the test says", ArgsUsage: "[PEER] [-- CMD…]", Action: action,
			Flags: []cli.Flag{
				cmdline.Verbose(), cmdline.Quiet(), cmdline.Events(), cmdline.Listen(), cmdline.TokenFile(),
				cmdline.TTL(), cmdline.Wait(), cmdline.Deadline(), cmdline.Addr(),
			},
			Subcommands: []*cli.Command{{Name: "sub", Usage: "be below", ArgsUsage: "THING", Flags: []cli.Flag{
				&cli.BoolFlag{Name: "json"},
			}, Action: action}},
		}
	}
	state := func() *cli.Command {
		return &cli.Command{Name: "state", Usage: "be about this machine", Action: action, Flags: []cli.Flag{&cli.BoolFlag{Name: "json"}}}
	}
	status = cmdline.Main([]func() *cli.Command{probe}, []func() *cli.Command{state}, args, in, out, errOut)
	read := func(f *os.File) string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return status, read(out), read(errOut)
}

func nothing(*cli.Context) error { return nil }

func TestDispatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		status int
		out    string // a part of stdout, or all of it if empty
		err    string // all of stderr
	}{
		{"mesh", 0, "from machine to machine\nthis one: ", ""},
		{"anything", 0, "from machine to machine\nthis one: ", ""},
		{"mesh help", 0, "probe  do as the test says", ""},
		{"anything help", 0, "usage: anything", ""},
		{"mesh --list", 0, "probe\n", ""},
		{"mesh help", 0, "\ncommands:\n  state       be about this machine\n  install", ""},
		{"mesh state", 0, "", ""},
		{"mesh state --json", 0, "", ""},
		{"anything state -h", 0, "usage: anything state [flags]", ""},
		{"mesh help state", 0, "usage: mesh state [flags]", ""},
		{"mesh state --foo", 2, "", "mesh: error: unknown flag --foo\nmesh: hint: \"mesh state --help\" lists the flags\n"},
		{"mesh stat", 2, "", "mesh: error: unknown tool \"stat\"\nmesh: hint: did you mean mesh state?\n"},
		{"mesh-state", 0, "from machine to machine\nthis one: ", ""}, // no link to a command
		{"mesh completion bash", 0, "'mesh state') offers='--json", ""},
		{"mesh probe", 0, "", ""},
		{"mesh-probe", 0, "", ""},
		{"/usr/bin/mesh-probe", 0, "", ""},
		{"mesh-probe -h", 0, "usage: mesh-probe [flags] [PEER]", ""},
		{"mesh probe -h", 0, "usage: mesh probe [flags] [PEER]", ""},
		{"mesh help probe", 0, "usage: mesh probe [flags] [PEER]", ""},
		{"mesh help probe sub", 0, "usage: mesh probe sub [flags] THING", ""},
		{"mesh-probe sub -h", 0, "usage: mesh-probe sub [flags] THING", ""},
		{"mesh help exit", 0, " 21  identity ", ""},
		{"mesh-probe help", 0, "", ""}, // a peer of this name
		{"mesh-probe --version", 0, "mesh-probe ", ""},
		{"mesh probe --version", 0, "mesh-probe ", ""},
		{"mesh --version", 0, "mesh ", ""},
		{"mesh foo", 2, "", "mesh: error: unknown tool \"foo\"\nmesh: hint: \"mesh help\" lists the tools\n"},
		{"mesh help foo", 2, "", "mesh: error: unknown tool \"foo\"\nmesh: hint: \"mesh help\" lists the tools\n"},
		{"mesh --foo", 2, "", "mesh: error: unknown flag --foo\nmesh: hint: \"mesh --help\" lists the flags\n"},
		{"mesh-probe --foo", 2, "", "mesh-probe: error: unknown flag --foo\nmesh-probe: hint: \"mesh-probe --help\" lists the flags\n"},
		{"mesh probe -x", 2, "", "mesh-probe: error: unknown flag -x\nmesh-probe: hint: \"mesh probe --help\" lists the flags\n"},
		{"mesh-probe sub -x", 2, "", "mesh-probe: error: unknown flag -x\nmesh-probe: hint: \"mesh-probe sub --help\" lists the flags\n"},
		{"mesh-probe --ttl", 2, "", "mesh-probe: error: flag needs an argument: --ttl\nmesh-probe: hint: \"mesh-probe --help\" lists the flags\n"},
		{"mesh-probe --generate-bash-completion", 2, "", "mesh-probe: error: unknown flag --generate-bash-completion\nmesh-probe: hint: \"mesh-probe --help\" lists the flags\n"},
		{"mesh completion", 2, "", "mesh: error: a subcommand is missing\nmesh: hint: one of: bash, zsh, fish\n"},
		{"mesh completion tcsh", 2, "", "mesh: error: unknown subcommand \"tcsh\"\nmesh: hint: one of: bash, zsh, fish\n"},
		{"mesh-probe --ttl=-1s", 2, "", "mesh-probe: error: flag --ttl: -1s is not a positive duration\n"},
		{"mesh-probe -q -q", 2, "", "mesh-probe: error: flag --quiet given twice\n"},
		{"mesh-probe -qq", 2, "", "mesh-probe: error: flag --quiet given twice\n"},
		{"mesh probe --listen a -v --listen=b", 2, "", "mesh-probe: error: flag --listen given twice\n"},
		{"mesh-probe sub --json --json", 2, "", "mesh-probe: error: flag --json given twice\n"},
		{"mesh-probe -v -v --addr a --addr b PEER", 0, "", ""},
		{"mesh-probe --listen --ttl --ttl 1s", 0, "", ""}, // --ttl is an address here
	} {
		status, out, stderr := call(t, nothing, strings.Fields(tt.args)...)
		if status != tt.status || stderr != tt.err || !strings.Contains(out, tt.out) || (tt.out == "") != (out == "") {
			t.Errorf("%s: got status %d, stdout %q, stderr %q; want %d, %q, %q",
				tt.args, status, out, stderr, tt.status, tt.out, tt.err)
		}
	}
}

// A word in a wrong place may be a token.
func TestTokenIsNotRepeated(t *testing.T) {
	t.Parallel()
	text := token.Prefix + strings.Repeat("a2", 60)
	for _, args := range []string{"mesh " + text, "mesh help " + text, "mesh completion " + text, "mesh-probe --addr a --foo=" + text, "mesh-probe PEER --foo=" + text} {
		status, out, stderr := call(t, func(c *cli.Context) error {
			_, err := cmdline.Args(c, 0, 1)
			return err
		}, strings.Fields(args)...)
		if status != 2 || out != "" || stderr == "" || strings.Contains(stderr, text) {
			t.Errorf("%s: got status %d, stdout %q, stderr %q, want 2 and an error without the token", args, status, out, stderr)
		}
	}
}

func TestNoArgv(t *testing.T) {
	t.Parallel()
	if status, out, _ := call(t, nothing); status != 0 || !strings.HasPrefix(out, "mesh ") {
		t.Errorf("got status %d, stdout %q, want the first screen of mesh", status, out)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	failing := func(err error) cli.ActionFunc { return func(*cli.Context) error { return err } }
	base := proto.Errorf(proto.Denied, "no entry")
	for _, tt := range []struct {
		name   string
		action cli.ActionFunc
		status int
		err    string
	}{
		{"plain", failing(errors.New("odd")), 1, "mesh-probe: error: odd\n"},
		{"code", failing(base), 20, "mesh-probe: error: no entry\n"},
		{
			"hints", failing(proto.Hint(proto.Hint(base, "ask"), "or knock")), 20,
			"mesh-probe: error: no entry\nmesh-probe: hint: ask\nmesh-probe: hint: or knock\n",
		},
		{"lines", failing(errors.New("a\nb\x1b[31m\u202e")), 1, `mesh-probe: error: a\nb\x1b[31m\u202e` + "\n"},
		{"silent", failing(cmdline.Silent(base)), 20, ""},
		{"stdout", failing(cmdline.WriteError(syscall.EPIPE)), 141, ""},
		{"full", failing(cmdline.WriteError(syscall.ENOSPC)), 41, "mesh-probe: error: no space left on device\n"},
		{"panic", func(*cli.Context) error { panic("at\nonce") }, 70, `mesh-probe: error: internal: at\nonce` + "\n"},
		{"exit coder", failing(cli.Exit("out", 3)), 1, "mesh-probe: error: out\n"},
		{"complain", func(c *cli.Context) error { cmdline.StreamsOf(c).Complain(base); return nil }, 0, "mesh-probe: error: no entry\n"},
	} {
		status, out, stderr := call(t, tt.action, "mesh", "probe")
		if status != tt.status || out != "" || stderr != tt.err {
			t.Errorf("%s: got status %d, stdout %q, stderr %q; want %d, none, %q", tt.name, status, out, stderr, tt.status, tt.err)
		}
	}
	if err := proto.Hint(base, "x"); !errors.Is(err, base) || err.Error() != base.Error() {
		t.Errorf("Hint hides its error: %v", err)
	}
	if proto.Hint(nil, "x") != nil || cmdline.Silent(nil) != nil {
		t.Error("Hint or Silent makes an error of nil")
	}
}

func TestPanicTrace(t *testing.T) {
	t.Parallel()
	_, _, stderr := call(t, func(*cli.Context) error { panic("boo") }, "mesh-probe", "-vv")
	if !strings.HasPrefix(stderr, "mesh-probe: error: internal: boo\n") || !strings.Contains(stderr, "main_test.go") {
		t.Errorf("-vv: got %q, want the line and a stack", stderr)
	}
}

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args      string
		peer, cmd []string
		err       string
	}{
		{"mesh-probe", nil, nil, ""},
		{"mesh-probe peer", []string{"peer"}, nil, ""},
		{"mesh-probe peer -- tar -c -- x", []string{"peer"}, []string{"tar", "-c", "--", "x"}, ""},
		{"mesh probe -v -- tar --help", nil, []string{"tar", "--help"}, ""},
		{"mesh-probe sub x -- y", []string{"x"}, []string{"y"}, ""},
		{"mesh-probe peer --", nil, nil, `no command after "--"`},
		{"mesh-probe peer -v -- x", nil, nil, "flag -v after an argument"},
		{"mesh-probe peer --token-file=secret", nil, nil, "flag --token-file after an argument"},
		{"mesh-probe a b -- x", nil, nil, "got 2 arguments, want at most 1"},
		{"mesh-probe peer -", nil, nil, "got 2 arguments, want at most 1"},
	} {
		var peer, cmd []string
		var err error
		call(t, func(c *cli.Context) error {
			peer, cmd, err = cmdline.SplitCommand(c, 0, 1)
			return nil
		}, strings.Fields(tt.args)...)
		text := ""
		if err != nil {
			text = err.Error()
			if proto.CodeOf(err) != proto.Usage {
				t.Errorf("%s: got code %v, want usage", tt.args, proto.CodeOf(err))
			}
		}
		if text != tt.err || err == nil && (!slices.Equal(peer, tt.peer) || !slices.Equal(cmd, tt.cmd) || (cmd == nil) != (tt.cmd == nil)) {
			t.Errorf("%s: got %q, %q, %v; want %q, %q, %q", tt.args, peer, cmd, err, tt.peer, tt.cmd, tt.err)
		}
	}
}

func TestArgs(t *testing.T) {
	t.Parallel()
	one := func(c *cli.Context) error { _, err := cmdline.Args(c, 1, 1); return err }
	for _, tt := range []struct{ args, err string }{
		{"mesh-probe x", ""},
		{"mesh-probe -- x", "mesh-probe: error: no command can follow \"--\" here\n"},
		{"mesh-probe", "mesh-probe: error: PEER is missing\nmesh-probe: hint: usage: mesh-probe [flags] [PEER] [-- CMD…]\n"},
		{"mesh-probe x -v", "mesh-probe: error: flag -v after an argument\nmesh-probe: hint: flags come before PEER\n"},
		{"mesh-probe sub", "mesh-probe: error: THING is missing\nmesh-probe: hint: usage: mesh-probe sub [flags] THING\n"},
	} {
		if _, _, stderr := call(t, one, strings.Fields(tt.args)...); stderr != tt.err {
			t.Errorf("%s: got %q, want %q", tt.args, stderr, tt.err)
		}
	}
}

func TestOperands(t *testing.T) {
	t.Parallel()
	var got []string
	call(t, func(c *cli.Context) (err error) { got, err = cmdline.Operands(c); return err }, "mesh-probe", "a", "--", "-b", "--")
	if want := []string{"a", "-b", "--"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	status, _, stderr := call(t, func(c *cli.Context) error {
		<-c.Context.Done()
		return c.Context.Err()
	}, "mesh-probe", "--deadline", "1ms")
	if want := "mesh-probe: error: the deadline of 1ms ran out\n"; status != 11 || stderr != want {
		t.Errorf("got status %d, %q, want 11, %q", status, stderr, want)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	call(t, func(c *cli.Context) error {
		if got := c.StringSlice("addr"); !slices.Equal(got, []string{"a,b:1", "[::1]:2"}) {
			t.Errorf("--addr: got %q", got)
		}
		if got := c.Duration("ttl"); got != time.Hour {
			t.Errorf("--ttl: got %v, want 1h", got)
		}
		return nil
	}, "mesh-probe", "--addr", "a,b:1", "--addr", "[::1]:2", "--ttl", "1h")
	call(t, func(c *cli.Context) error {
		if got := c.Duration("ttl"); got != cmdline.DefaultTTL {
			t.Errorf("--ttl unset: got %v, want %v", got, cmdline.DefaultTTL)
		}
		return nil
	}, "mesh-probe")
}

// Flags of one letter may be written together, and a value is never taken for some.
func TestShortFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-v":                    "1 false [] []",
		"-vqv":                  "2 true [] []",
		"-q -vv x":              "2 true [] [x]",
		"--verbose --verbose":   "2 false [] []",
		"--addr -vv -q":         "0 true [-vv] []",
		"--addr=a,b --addr c":   "0 false [a,b c] []",
		"--addr a,b x -vv":      "2 flag -vv after an argument",
		"-vx":                   "2 unknown flag --vx",
		"-vq=false":             "2 unknown flag --vq",
		"--vv":                  "2 unknown flag --vv",
		"-v --verbose":          "2 cannot use two forms of the same flag",
		"--addr":                "2 flag needs an argument: --addr",
		"sub --json THING":      "0 false [] [THING]",
		"-v sub --verbose":      "2 unknown flag --verbose",
		"--ttl soon":            "2 invalid value",
		"--ttl -1s":             "2 flag --ttl: -1s is not a positive duration",
		"-q=false --deadline 2": "2 invalid value",
	} {
		var got string
		status, _, stderr := call(t, func(c *cli.Context) error {
			words, err := cmdline.Args(c, 0, -1)
			got = fmt.Sprint(c.Count("verbose"), c.Bool("quiet"), c.StringSlice("addr"), words)
			return err
		}, append([]string{"mesh-probe"}, strings.Fields(args)...)...)
		if status != 0 {
			got = fmt.Sprint(status, " ", strings.TrimPrefix(stderr, "mesh-probe: error: "))
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	log := func(c *cli.Context) error {
		l := cmdline.StreamsOf(c).Logger(c.Count("verbose"))
		l.Info("peer connected", "peer", "x")
		l.Debug("frame")
		return nil
	}
	for arg, want := range map[string]string{
		"":    "",
		"-v":  "level=INFO msg=\"peer connected\" peer=x\n",
		"-vv": "level=INFO msg=\"peer connected\" peer=x\nlevel=DEBUG msg=frame\n",
	} {
		if _, _, got := call(t, log, strings.Fields("mesh-probe "+arg)...); got != want {
			t.Errorf("%q: got %q, want %q", arg, got, want)
		}
	}
}
