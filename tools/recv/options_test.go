package recv

import (
	"os"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/cmdlinetest"
)

// TestMain keeps the settings and the key of the user out of the tests.
func TestMain(m *testing.M) { cmdlinetest.Main(m) }

func TestOptions(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		args string
		want options // of what differs from the default
		peer string  // to dial; "" to wait
	}{
		{"", options{}, ""},
		{"bob", options{}, "bob"},
		{"-o f", options{output: "f"}, ""},
		{"-o -", options{output: "-"}, ""},
		{"--force --output f bob", options{output: "f", store: files.ReceiveOptions{Force: true}}, "bob"},
		{"-C d", options{directory: "d"}, ""},
		{"-C d --name n", options{directory: "d", name: "n"}, ""},
		{"-C d --name {host}.dump", options{directory: "d", name: host + ".dump"}, ""},
		{"-C d --job db --name a{job}{b bob", options{directory: "d", name: "adb{b"}, "bob"},
		{"-C d --force", options{directory: "d", store: files.ReceiveOptions{Force: true}}, ""},
		{"-C d --rename --portable", options{directory: "d", store: files.ReceiveOptions{Rename: true, Portable: true}}, ""},
		{"-C d --any-names", options{directory: "d", store: files.ReceiveOptions{AnyNames: true}}, ""},
		{"-C d --max-size 1M --max-files 7", options{directory: "d", store: files.ReceiveOptions{MaxBytes: 1 << 20, MaxEntries: 7}}, ""},
		{"-C d --gc", options{directory: "d", gc: true}, ""},
		{"--archive zip", options{archive: "zip"}, ""},
		{"--archive tar -o f.tar --portable --max-size 1", options{archive: "tar", output: "f.tar", store: files.ReceiveOptions{Portable: true, MaxBytes: 1}}, ""},
		{"--next", options{next: true}, ""},
		{"--next -C d", options{next: true, directory: "d"}, ""},
	} {
		o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(tt.args)...)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		w, g := tt.want, o.store
		if o.output != w.output || o.directory != w.directory || o.name != w.name || o.archive != w.archive || o.next != w.next || o.gc != w.gc {
			t.Errorf("%s: got %+v, want %+v", tt.args, o, w)
		}
		if g.Force != w.store.Force || g.Rename != w.store.Rename || g.Portable != w.store.Portable || g.MaxBytes != w.store.MaxBytes || g.MaxEntries != w.store.MaxEntries {
			t.Errorf("%s: got %+v to store with, want %+v", tt.args, g, w.store)
		}
		if (o.peer == nil) != (tt.peer == "") || o.peer != nil && o.peer.Text != tt.peer {
			t.Errorf("%s: got peer %+v, want %q", tt.args, o.peer, tt.peer)
		}
	}
}

// An address to listen on is for a tool that waits.
func TestListenOption(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{"--listen :4600": ":4600", "--listen :4600 bob": "", "": ""} {
		o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(args)...)
		if err != nil || o.node.Listen != want {
			t.Errorf("%s: got %q, %v, want %q", args, o.node.Listen, err, want)
		}
	}
	o, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields("--addr a:1 --addr b:2 --ttl 1d --wait 2s --token-file t")...)
	if got := o.offer; err != nil || strings.Join(got.Addrs, " ") != "a:1 b:2" || got.TTL != 24*time.Hour || got.Wait != 2*time.Second || got.TokenFile != "t" {
		t.Errorf("got offer %+v, %v", got, err)
	}
	if o, err := cmdlinetest.Read(t, Command, optionsOf); err != nil || o.offer.TTL != cmdline.DefaultTTL {
		t.Errorf("got tokens for %v, %v, want %v", o.offer.TTL, err, cmdline.DefaultTTL)
	}
}

// Every line is one branch of check, or of the parser.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"--archive rar", "--archive is zip or tar"},
		{"--archive zip -C d", "--archive goes to standard output or to -o, not with -C"},
		{"-o f -C d", "either -o or -C"},
		{"-o - -C d", "either -o or -C"},
		{"--force", "--force goes with -o or -C"},
		{"--force --archive zip", "--force goes with -o or -C"},
		{"--force --rename -C d", "either --force or --rename"},
		{"--gc -C d bob", "--gc calls no PEER"},
		{"--gc --next -C d", "either --gc or --next"},
		{"--next bob", "--next calls no PEER"},
		{"--next --listen :1", "--next waits at no address: it goes without --listen"},
		{"--next --addr a:1", "--next waits at no address: it goes without --addr"},
		{"--next --token-file t", "--next waits at no address: it goes without --token-file"},
		{"--next --ttl 1s", "--next waits at no address: it goes without --ttl"},
		{"--name n", "--name goes with -C"},
		{"--name n -o f", "--name goes with -C"},
		{"--rename", "--rename goes with -C"},
		{"--rename -o f", "--rename goes with -C"},
		{"--gc", "--gc goes with -C"},
		{"--portable", "--portable goes with -C or --archive"},
		{"--any-names", "--any-names goes with -C or --archive"},
		{"-C d --any-names --portable", "either --portable or --any-names"},
		{"--portable -o f", "--portable goes with -C or --archive"},
		{"--max-size 1", "--max-size goes with -C or --archive"},
		{"--max-files 1 -o f", "--max-files goes with -C or --archive"},
		{"-C d --name a/b", "--name: "},
		{"-C d --name ..", "--name: "},
		{"-C d --max-size 0", "flag --max-size: want 1 to"},
		{"-C d --max-files 0", "--max-files is at least 1"},
		{"-C d bob a ../b", "NAME is a path inside what the peer offers"},
		{"-C d bob /a", "NAME is a path inside what the peer offers"},
		{"-C d --name n bob a", "--name is for a pipe"},
		{"--dry-run", "--dry-run lists what a PEER offers"},
		{"--dry-run -C d", "--dry-run lists what a PEER offers"},
		{"-- cat", `no command can follow "--" here`},
		{"bob --force", "flag --force after an argument"},
		{"--ttl 0s", "is not a positive duration"},
		{"-o a -o b", "flag --output given twice"},
		{"-o a --output b", "cannot use two forms of the same flag"},
	} {
		_, err := cmdlinetest.Read(t, Command, optionsOf, strings.Fields(tt.args)...)
		xtest.WantCode(t, tt.args, err, proto.Usage)
		if err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want %q in it", tt.args, err, tt.want)
		}
	}
}
