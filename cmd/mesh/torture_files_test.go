//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mesh/proto"
)

// aTree makes a folder with small files and some large ones, and returns their
// contents by path.
func aTree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	r := mathrand.NewChaCha8([32]byte{5})
	holds := map[string][]byte{}
	for i := range 400 {
		holds[fmt.Sprintf("tree/d%d/f%d", i/20, i)] = make([]byte, i*37%9000)
	}
	for i := range 4 {
		holds[fmt.Sprintf("tree/large%d", i)] = make([]byte, 6<<20+i)
	}
	for path, data := range holds {
		_, _ = r.Read(data)
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return holds
}

// stored returns the number of files below a folder and their total size. It fails for a
// file with other content than expected. Unfinished files have temporary names.
func stored(t *testing.T, dir string, holds map[string][]byte) (files int, held int64) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".mesh-") {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		got, err := os.ReadFile(path)
		if want, ok := holds[filepath.ToSlash(rel)]; !ok || err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", rel, len(got), err, len(want))
		}
		files++
		held += int64(len(got))
		return nil
	})
	return files, held
}

// sendTree starts a mesh-recv -C in and a mesh-cat tree.
func sendTree(t *testing.T, dir, from, events string) (recv, cat *aTool) {
	t.Helper()
	tok := filepath.Join(dir, "tok")
	_ = os.Remove(tok)
	recv = begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "-C", "in")
	await(t, tok)
	cat = begin(t, dir, func(c *exec.Cmd) { c.Dir = from }, "mesh-cat", "--events", filepath.Join(dir, events), "@"+tok, "tree")
	return recv, cat
}

// takeTree starts a mesh-listen tree and a mesh-recv -C in that takes it, by its name too.
func takeTree(t *testing.T, dir, from, events string) (recv, listen *aTool) {
	t.Helper()
	tok := filepath.Join(dir, "tok")
	_ = os.Remove(tok)
	listen = begin(t, dir, func(c *exec.Cmd) { c.Dir = from }, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", tok, "tree")
	await(t, tok)
	args := []string{"--events", events, "-C", "in", "@tok"}
	if mathrand.IntN(2) == 0 {
		args = append(args, "tree")
	}
	return begin(t, dir, nil, "mesh-recv", args...), listen
}

// TestKilledFiles kills one end of a transfer of files with SIGKILL at a random point,
// up to three times. Stored files must be exact each time. The same commands, run once
// more, must complete the rest and send less than the whole.
func TestKilledFiles(t *testing.T) {
	t.Parallel()
	killFiles(t, int(torture(t, "TORTURE_RUNS", 4, 12, 200)), sendTree)
}

// TestKilledOffer is TestKilledFiles of files that the receiver takes.
func TestKilledOffer(t *testing.T) {
	t.Parallel()
	killFiles(t, int(torture(t, "TORTURE_RUNS", 2, 6, 100)), takeTree)
}

func killFiles(t *testing.T, runs int, start func(t *testing.T, dir, from, events string) (recv, sender *aTool)) {
	from := t.TempDir()
	holds := aTree(t, from)
	var whole int64
	for _, data := range holds {
		whole += int64(len(data))
	}
	var mu sync.Mutex
	kills, partly, saved := 0, 0, int64(0)
	t.Run("group", func(t *testing.T) {
		for i := range runs {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				r := mathrand.New(mathrand.NewPCG(7, uint64(i)))
				dir := t.TempDir()
				in := filepath.Join(dir, "in")
				if err := os.Mkdir(in, 0o755); err != nil {
					t.Fatal(err)
				}
				n, had, held := 1+r.IntN(3), 0, int64(0)
				for range n {
					_ = os.Remove(filepath.Join(dir, "ev"))
					recv, sender := start(t, dir, from, "ev")
					poll(t, "a link", func() bool { // without one mesh-recv waits for another peer
						events, _ := os.ReadFile(filepath.Join(dir, "ev"))
						return bytes.Contains(events, []byte(`"peer"`))
					})
					victim, other := recv, sender
					if r.IntN(2) == 0 {
						victim, other = sender, recv
					}
					// At a random number of stored bytes, from the first to the last.
					goal := had + r.IntN(len(holds)-had+1)
					poll(t, "the point to kill at", func() bool {
						select {
						case <-victim.ended:
							return true
						default:
							files, _ := stored(t, in, holds)
							return files >= goal
						}
					})
					<-time.After(time.Duration(r.IntN(15_000)) * time.Microsecond)
					_ = victim.Process.Signal(syscall.SIGKILL)
					switch code := other.code(t); code {
					case proto.OK, proto.Truncated, proto.Timeout:
					default:
						t.Errorf("%s ended with %v: %s", other.Args[0], code, other.stderr.Bytes())
					}
					<-victim.ended
					had, held = stored(t, in, holds)
				}
				recv, sender := start(t, dir, from, "last")
				if c, d := recv.code(t), sender.code(t); c != proto.OK || d != proto.OK {
					t.Fatalf("ended with %v and %v: %s%s", c, d, recv.stderr.Bytes(), sender.stderr.Bytes())
				}
				if got, _ := stored(t, in, holds); got != len(holds) {
					t.Errorf("got %d files, want %d", got, len(holds))
				}
				moved := sentBytes(t, filepath.Join(dir, "last"))
				if moved > whole-held+whole/50 { // what is announced is not much
					t.Errorf("%d bytes were there, and %d of %d travelled", held, moved, whole)
				}
				gc := begin(t, dir, nil, "mesh-recv", "--gc", "-C", "in")
				if c := gc.code(t); c != proto.OK {
					t.Errorf("--gc ended with %v: %s", c, gc.stderr.Bytes())
				}
				if left, _ := filepath.Glob(filepath.Join(in, "*", ".mesh-*")); len(left) > 0 {
					t.Errorf("--gc has left %v", left)
				}
				mu.Lock()
				defer mu.Unlock()
				kills += n
				if had > 0 && had < len(holds) {
					partly++
				}
				saved += whole - moved
			})
		}
	})
	if !t.Failed() {
		t.Logf("torture: %d kill -9 in %d transfers of files: what was stored exact each time, %d completed from a part; %d %% of the bytes did not travel again",
			kills, runs, partly, saved*100/(whole*int64(runs)))
	}
}

// sentBytes returns the bytes of the receipt in the events.
func sentBytes(t *testing.T, events string) int64 {
	t.Helper()
	text, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct {
			Event string
			Bytes int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "receipt" {
			return e.Bytes
		}
	}
	t.Fatalf("no receipt in %s", text)
	return 0
}

// TestLargeFile sends a large sparse file, and the same again. Its zeros neither travel nor
// take room. Neither end may need more than 64 MiB.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	size := torture(t, "TORTURE_FILE", 32<<20, 128<<20, 8<<30)
	dir, from := t.TempDir(), t.TempDir()
	if err := firstOf(os.Mkdir(filepath.Join(dir, "in"), 0o755), os.WriteFile(filepath.Join(from, "tree"), bytes.Repeat([]byte("x"), 64<<10), 0o644), os.Truncate(filepath.Join(from, "tree"), size)); err != nil {
		t.Fatal(err)
	}
	peak := 0
	for run := range 2 {
		recv, cat := sendTree(t, dir, from, "ev")
		for _, p := range []*aTool{recv, cat} {
			tick := time.NewTicker(20 * time.Millisecond)
			for ended := false; !ended; {
				select {
				case <-p.ended:
					ended = true
				case <-tick.C:
				}
				peak = max(peak, procStatus(recv, "VmHWM"), procStatus(cat, "VmHWM"))
			}
			tick.Stop()
			if code := p.code(t); code != proto.OK {
				t.Fatalf("run %d: %s ended with %v: %s", run, p.Args[0], code, p.stderr.Bytes())
			}
		}
		info, err := os.Stat(filepath.Join(dir, "in", "tree"))
		if err != nil || info.Size() != size {
			t.Fatalf("got %v, %v", info, err)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Blocks*512 > 1<<20 {
			t.Errorf("it takes %d blocks", s.Blocks)
		}
		if moved, most := sentBytes(t, filepath.Join(dir, "ev")), 80<<10+size/10_000; run == 0 && moved > most {
			t.Errorf("%d bytes travelled, want at most %d", moved, most)
		}
	}
	if moved := sentBytes(t, filepath.Join(dir, "ev")); moved > 1000 {
		t.Errorf("%d bytes travelled the second time", moved)
	}
	if peak > 64<<10 && !raceDetector {
		t.Errorf("an end needed %d MiB", peak>>10)
	}
	t.Logf("torture: a file of %d MiB twice: stored, then skipped; peak memory %d MiB", size>>20, peak>>10)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
