package cmdline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/urfave/cli/v2"

	"mesh/tools/cmdline"
)

// Settings set the flags of a tool as the command line does, but Given tells the two
// apart.
func TestSettingsOfATool(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	text := "[listen]\nverbose = 2\nquiet = true\nttl = '3s'\naddr = ['a:1', 'b:2']\n[peers.bob]\nallow = 'send'\n"
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := false
	tool := func() *cli.Command {
		return &cli.Command{
			Name:  "listen",
			Flags: []cli.Flag{cmdline.Verbose(), cmdline.Quiet(), cmdline.TTL(), cmdline.Addr(), cmdline.Wait()},
			Action: func(c *cli.Context) error {
				ran = true
				if c.Count("verbose") != 2 || !c.Bool("quiet") || c.Duration("ttl").String() != "3s" || len(c.StringSlice("addr")) != 2 {
					t.Errorf("got %d, %t, %v, %q", c.Count("verbose"), c.Bool("quiet"), c.Duration("ttl"), c.StringSlice("addr"))
				}
				if cmdline.Given(c, "ttl") || !cmdline.Given(c, "wait") {
					t.Error("Given does not report the flags on the command line")
				}
				if p := cmdline.PeerSettings(c); len(p) != 1 || p[0].Words[0] != "bob" {
					t.Errorf("got peers %v", p)
				}
				if v, ok := cmdline.PeerSetting(c, "bob", "allow"); !ok || v.Words[0] != "send" {
					t.Errorf("got %v", v)
				}
				if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte("[listen]\nttl = '4s'\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				now, err := cmdline.Reread(c)
				if err != nil || now.Duration("ttl").String() != "4s" || now.Bool("quiet") || now.Duration("wait").String() != "5s" || c.Duration("ttl").String() != "3s" {
					t.Errorf("read again: got %v, %t (%v)", now.Duration("ttl"), now.Bool("quiet"), err)
				}
				return nil
			},
		}
	}
	status := cmdline.Main([]func() *cli.Command{tool}, nil, []string{"mesh-listen", "--wait", "5s"}, os.Stdin, os.Stdout, os.Stderr)
	if status != 0 || !ran {
		t.Errorf("ended with %d", status)
	}
}
