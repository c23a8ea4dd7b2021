package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
)

// manyTree makes a tree of many small files, some of them deep in it, and a large file.
func manyTree(t *testing.T, dir string, count int) {
	t.Helper()
	for i := range count {
		sub := fmt.Sprintf("tree/d%d", i%7)
		if i%11 == 0 {
			sub = fmt.Sprintf("tree/d%d/a/b/c/d/e/f%d", i%7, i%3)
		}
		if err := firstOf(os.MkdirAll(filepath.Join(dir, sub), 0o755), os.WriteFile(filepath.Join(dir, sub, fmt.Sprint(i)), fmt.Append(nil, i), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tree", "large"), bytes.Repeat([]byte("large"), 1<<18), 0o644); err != nil {
		t.Fatal(err)
	}
}

// With 20 open files at each end, which is the hard limit, folders of any size and depth
// arrive whichever end waits. With fewer, the tool that waits says so before it shows a
// token, or everything arrives.
func TestLowFileLimit(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	manyTree(t, from, int(torture(t, "TORTURE_MANY", 300, 2_000, 10_000)))
	type ways struct{ name, wait, call string }
	for _, way := range []ways{
		{"recv -C", "mesh-recv -C in", "mesh-cat @TOK SRC"},
		{"recv --archive", "mesh-recv --archive tar -o in/out.tar", "mesh-cat @TOK SRC"},
		{"inbox", "mesh-listen --inbox in", "mesh-cat @TOK SRC"},
		{"listen FILE", "mesh-listen SRC", "mesh-recv -C in @TOK"},
	} {
		for _, limit := range []int{14, 15, 16, 17, 18, 19, 20, 24, 32} {
			t.Run(fmt.Sprint(way.name, " ", limit), func(t *testing.T) {
				t.Parallel()
				calls, dir := limit, t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
					t.Fatal(err)
				}
				tok := filepath.Join(dir, "tok")
				run := func(home string, limit int, command string) *aTool {
					command = strings.NewReplacer("TOK", tok, "SRC", filepath.Join(from, "tree")).Replace(command)
					p := begin(t, dir, nil, "sh", "-c", fmt.Sprintf("ulimit -n %d && exec %s", limit, command))
					p.Env = append(p.Env, "MESH_HOME="+filepath.Join(dir, home))
					return p
				}
				waits := run("home", limit, strings.Replace(way.wait, " ", " --listen 127.0.0.1:0 --token-file TOK ", 1))
				poll(t, "a token", func() bool {
					select {
					case <-waits.ended:
						return true
					default:
						info, err := os.Stat(tok)
						return err == nil && info.Size() > 0
					}
				})
				if _, err := os.Stat(tok); err != nil {
					text := waits.stderr.String()
					if code := waits.code(t); code != proto.IO || limit >= 20 || strings.Count(text, ": error: ") != 1 {
						t.Errorf("ended with %v before a token: %s", code, text)
					}
					return
				}
				if limit < 20 {
					calls = 1000
				}
				caller := run("home2", calls, way.call)
				if code := caller.code(t); code != proto.OK {
					t.Errorf("%s ended with %v: %s", way.call, code, caller.stderr.String())
				}
				want := proto.OK
				if way.name == "inbox" {
					_ = waits.Process.Signal(os.Interrupt)
					want = proto.Interrupted
				}
				if code := waits.code(t); code != want {
					t.Errorf("%s ended with %v, want %v: %s", way.wait, code, want, waits.stderr.String())
				}
				got := filepath.Join(dir, "in", "tree")
				if way.name == "recv --archive" {
					if out, err := exec.Command("tar", "-xf", filepath.Join(dir, "in", "out.tar"), "-C", filepath.Join(dir, "in")).CombinedOutput(); err != nil {
						t.Fatalf("tar: %v: %s", err, out)
					}
				}
				if out, err := exec.Command("diff", "-r", filepath.Join(from, "tree"), got).CombinedOutput(); err != nil {
					t.Errorf("other files arrived: %v: %.500s", err, out)
				}
			})
		}
	}
}
