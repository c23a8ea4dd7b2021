package cat

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline/cmdlinetest"
	"mesh/tools/node"
	"mesh/tools/outgoing"
)

// TestMain keeps the settings and the key of the user out of the tests.
func TestMain(m *testing.M) { cmdlinetest.Main(m) }

func TestOptions(t *testing.T) {
	t.Parallel()
	peer := node.PeerText{Text: "bob", Argument: true}
	for _, tt := range []struct {
		args string
		want options // of what differs from the default
		code proto.Code
		err  string // in the error
	}{
		{"", options{}, proto.OK, ""}, // PEER may be in the environment
		{"bob", options{peer: peer}, proto.OK, ""},
		{"--wait 3s bob", options{peer: peer, wait: 3 * time.Second}, proto.OK, ""},
		{"bob a b", options{peer: peer, files: outgoing.Options{Names: []string{"a", "b"}}}, proto.OK, ""},
		{"bob -- printf --wait", options{peer: peer, command: []string{"printf", "--wait"}}, proto.OK, ""},
		{"-- printf", options{command: []string{"printf"}}, proto.OK, ""},
		{"--archive bob a.zip", options{peer: peer, files: outgoing.Options{Names: []string{"a.zip"}, Archive: true}}, proto.OK, ""},
		{"--symlinks skip --skip-special --dry-run bob a", options{peer: peer, files: outgoing.Options{Names: []string{"a"}, Symlinks: "skip", SkipSpecial: true, DryRun: true}}, proto.OK, ""},

		{"--name shop-{date}.dump bob", options{peer: peer}, proto.OK, ""},
		{"--job db --name {job}-{time} bob -- ls", options{peer: peer, command: []string{"ls"}}, proto.OK, ""},
		{"--job db --retry-for 1h bob a", options{peer: peer, files: outgoing.Options{Names: []string{"a"}}}, proto.OK, ""},
		{"--retry-for 1h bob -- ls", options{peer: peer, command: []string{"ls"}}, proto.OK, ""},

		{"--name x bob a", options{}, proto.Usage, "--name is for a pipe"},
		{"--name {job} bob", options{}, proto.Usage, `"{job}" is none of {date} {time} {host}`},
		{"--name a/b bob", options{}, proto.Usage, "--name: "},
		{"--name .b bob", options{}, proto.Usage, "--name: "},
		{"--name .. bob", options{}, proto.Usage, "--name: "},
		{"--job DB bob", options{}, proto.Usage, "is not the name of a job"},
		{"--retry-for 1h bob", options{}, proto.Usage, "standard input cannot be read twice"},
		{"--retry-for 0s bob a", options{}, proto.Usage, "is not a positive duration"},
		{"--job db --dry-run bob a", options{}, proto.Usage, "--dry-run makes none"},
		{"--archive bob", options{}, proto.Usage, "--archive goes with files"},
		{"--symlinks skip bob", options{}, proto.Usage, "--symlinks goes with files"},
		{"--skip-special bob -- ls", options{}, proto.Usage, "--skip-special goes with files"},
		{"--dry-run", options{}, proto.Usage, "--dry-run goes with files"},
		{"bob a -- ls", options{}, proto.Usage, "either files or a command"},
		{"--archive bob a.zip b.zip", options{}, proto.Usage, "--archive sends one archive"},
		{"bob --", options{}, proto.Usage, `no command after "--"`},
		{"bob --wait 3s", options{}, proto.Usage, "flag --wait after an argument"},
		{"--wait 0s bob", options{}, proto.Usage, "is not a positive duration"},
		{"--flows 0 bob", options{}, proto.Usage, "is not auto or 1 to"},
		{"--via pigeon bob", options{}, proto.Usage, "is none of auto, quic, tcp"},
		{"--resume-for -1s bob", options{}, proto.Usage, "is negative"},
		{"--quiet --quiet bob", options{}, proto.Usage, "given twice"},
	} {
		o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(tt.args)...)
		xtest.WantCode(t, tt.args, err, tt.code)
		if err != nil {
			if !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %q, want %q in it", tt.args, err, tt.err)
			}
			continue
		}
		w := tt.want
		if o.peer != w.peer || !reflect.DeepEqual(o.files, w.files) || !slices.Equal(o.command, w.command) || o.wait != w.wait {
			t.Errorf("%s: got %+v, want %+v", tt.args, o, w)
		}
	}
}

func TestNodeOptions(t *testing.T) {
	t.Parallel()
	o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields("--via tcp --window 8M --spool 1G --resume-for 5s --flows 3 --events 3 -q -vv bob")...)
	if err != nil {
		t.Fatal(err)
	}
	got := o.node
	got.ANSI = false // of the environment
	want := got
	want.Via.Transport, want.Window, want.Spool, want.ResumeFor, want.Flows = "tcp", 8<<20, 1<<30, 5*time.Second, 3
	want.Events, want.Quiet, want.Verbose, want.Listen, want.State = "3", true, 2, "", ""
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
