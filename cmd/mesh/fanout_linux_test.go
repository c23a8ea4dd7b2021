package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
)

// fan is a mesh-cat that sends one pipe to three receivers.
type fan struct {
	t     *testing.T
	dir   string
	recvs [3]*aTool // each in the folder of its number, to in/out
	cat   *aTool
	in    io.WriteCloser // of mesh-cat
	args  []string       // of it
	data  []byte
}

// newFan starts the receivers, number i with prefixes[i] before its command.
func newFan(t *testing.T, size int, prefixes map[int]string) *fan {
	t.Helper()
	f := &fan{t: t, dir: t.TempDir(), data: xtest.Random(size)}
	for i := range f.recvs {
		if err := os.MkdirAll(filepath.Join(f.at(i), "in"), 0o755); err != nil {
			t.Fatal(err)
		}
		prefix := strings.ReplaceAll(prefixes[i], "DIR", f.at(i))
		f.recvs[i] = begin(t, f.at(i), nil, "sh", "-c", "exec "+prefix+" mesh-recv --listen 127.0.0.1:0 --token-file tok --resume-for 0 -o in/out")
	}
	for i := range f.recvs {
		await(t, filepath.Join(f.at(i), "tok"))
	}
	return f
}

func (f *fan) at(i int) string { return filepath.Join(f.dir, fmt.Sprint(i)) }

// call starts mesh-cat, whose input is open and empty.
func (f *fan) call() {
	f.t.Helper()
	f.cat = begin(f.t, f.dir, func(c *exec.Cmd) {
		var err error
		if f.in, err = c.StdinPipe(); err != nil {
			f.t.Fatal(err)
		}
	}, "mesh-cat", append(f.args, "--events", "ev", "@0/tok,@1/tok,@2/tok")...)
}

// feed writes a part of the data. mesh-cat may have ended.
func (f *fan) feed(from, to int) {
	_, _ = f.in.Write(f.data[from:to])
}

// reported waits until mesh-cat has reported an event n times.
func (f *fan) reported(event string, n int) {
	f.t.Helper()
	path := filepath.Join(f.dir, "ev")
	poll(f.t, fmt.Sprintf("%s has %q %d times", path, event, n), func() bool {
		text, _ := os.ReadFile(path)
		return bytes.Count(text, []byte(`"event":"`+event+`"`)) >= n
	})
}

// has waits until a receiver has written n bytes, or has ended.
func (f *fan) has(i, n int) {
	f.t.Helper()
	poll(f.t, fmt.Sprintf("receiver %d has %d bytes", i, n), func() bool {
		parts, _ := filepath.Glob(filepath.Join(f.at(i), "in", ".mesh-*.part"))
		for _, path := range parts {
			if info, err := os.Stat(path); err == nil && info.Size() >= int64(n) {
				return true
			}
		}
		return false
	})
}

// kill kills a receiver.
func (f *fan) kill(i int) {
	f.t.Helper()
	if err := f.recvs[i].Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	<-f.recvs[i].ended
}

// lost waits until mesh-cat knows that the branch to a receiver has failed.
func (f *fan) lost() {
	f.t.Helper()
	f.reported("branch", 1)
}

// signalOthers sends a signal to all receivers but one.
func (f *fan) signalOthers(i int, s syscall.Signal) {
	f.t.Helper()
	for j, r := range f.recvs {
		if j == i {
			continue
		}
		if err := r.Process.Signal(s); err != nil {
			f.t.Fatal(err)
		}
	}
}

// published reports whether a receiver has published, and wants that to be everything.
func (f *fan) published(i int) bool {
	f.t.Helper()
	got, err := os.ReadFile(filepath.Join(f.at(i), "in", "out"))
	if err == nil && !bytes.Equal(got, f.data) {
		f.t.Errorf("receiver %d has published %d other bytes, want %d", i, len(got), len(f.data))
	}
	return err == nil
}

// TestFanoutKilled kills one of three receivers with SIGKILL in each phase.
func TestFanoutKilled(t *testing.T) {
	t.Parallel()
	const size = 300_000
	// publishing lets something happen to a receiver where it gives the file its name.
	publishing := func(what string) string {
		return "strace -D -f -o /dev/null -e trace=linkat,renameat2 -e inject=linkat,renameat2:" + what + " -P out -P DIR/in/out"
	}
	for _, tt := range []struct {
		phase  string
		prefix string // of the victim
		needs  []int
		run    func(f *fan, victim int)
		all    proto.Code // of mesh-cat if all are needed
		stored bool       // the others have published then, too
		victim bool       // the victim has published
	}{
		{"no link", "", []int{1, 2, 3}, func(f *fan, victim int) {
			f.kill(victim)
			f.call()
			f.feed(0, size)
			f.in.Close()
		}, proto.Unreachable, false, false},
		{"hello", "", []int{1, 2, 3}, func(f *fan, victim int) {
			f.call()
			f.reported("peer", len(f.recvs)) // mesh-cat has all links
			f.kill(victim)
			f.lost()
			f.feed(0, size)
			f.in.Close()
		}, proto.Truncated, false, false},
		{"data", "", []int{1, 2, 3}, func(f *fan, victim int) {
			f.call()
			f.feed(0, size/2)
			f.has(victim, size/2)
			f.kill(victim)
			f.lost()
			f.feed(size/2, size)
			f.in.Close()
		}, proto.Truncated, false, false},
		{"all data", "", []int{1, 2, 3}, func(f *fan, victim int) {
			f.call()
			f.feed(0, size)
			f.has(victim, size)
			f.kill(victim)
			f.lost()
			f.in.Close()
		}, proto.Truncated, false, false},
		{"end of the source", "", []int{2, 3}, func(f *fan, victim int) {
			f.call()
			f.feed(0, size/2)
			for i := range f.recvs {
				f.has(i, size/2)
			}
			f.signalOthers(victim, syscall.SIGSTOP)
			f.feed(size/2, size)
			f.in.Close()
			f.has(victim, size)
			f.kill(victim)
			f.lost()
			f.signalOthers(victim, syscall.SIGCONT)
		}, proto.Truncated, false, false},
		{"barrier", publishing("signal=KILL"), []int{1, 2, 3}, func(f *fan, _ int) {
			f.call()
			f.feed(0, size)
			f.in.Close()
		}, proto.Truncated, true, false},
		{"published", publishing("signal=STOP"), []int{1, 2, 3}, func(f *fan, victim int) {
			f.call()
			f.feed(0, size)
			f.in.Close()
			await(f.t, filepath.Join(f.at(victim), "in", "out"))
			f.kill(victim)
		}, proto.Truncated, true, true},
	} {
		for _, need := range tt.needs {
			for victim := range 3 {
				t.Run(fmt.Sprintf("%s, need %d, victim %d", tt.phase, need, victim), func(t *testing.T) {
					t.Parallel()
					if tt.prefix != "" {
						needStrace(t)
					}
					f := newFan(t, size, map[int]string{victim: tt.prefix})
					via := []string{"tcp", "quic"}[(need+victim)%2]
					f.args = []string{"--need", fmt.Sprint(need), "--resume-for", "0", "--via", via}
					tt.run(f, victim)
					f.wantEnds(victim, need, tt.all, tt.stored, tt.victim)
				})
			}
		}
	}
}

// wantEnds checks the ends of all when one receiver was killed.
func (f *fan) wantEnds(victim, need int, all proto.Code, stored, victimStored bool) {
	f.t.Helper()
	want, others := proto.OK, proto.OK
	says := fmt.Sprintf("mesh-cat: 2 of 3: @%d/tok failed: %s (%d)\n", victim, all, all)
	if need == 3 {
		want = all
		says = fmt.Sprintf("mesh-cat: error: @%d/tok, one of 3 peers of which 3 are needed: ", victim)
		if !stored {
			others = proto.Truncated
		}
	}
	if code := f.cat.code(f.t); code != want || !strings.HasPrefix(f.cat.stderr.String(), says) {
		f.t.Errorf("mesh-cat ended with %v, want %v and %q: %s", code, want, says, f.cat.stderr.Bytes())
	}
	for i, r := range f.recvs {
		if all == proto.Unreachable && others != proto.OK { // it may not have been called
			_ = r.Process.Signal(syscall.SIGTERM)
		}
		code := r.code(f.t)
		if i == victim {
			if code != -1 || f.published(i) != victimStored {
				f.t.Errorf("the victim ended with %v, published is %t, want a signal and %t: %s", code, f.published(i), victimStored, r.stderr.Bytes())
			}
			continue
		}
		if code == proto.Terminated {
			code = others
		}
		if code != others || f.published(i) != (others == proto.OK) {
			f.t.Errorf("receiver %d ended with %v, published is %t, want %v: %s", i, code, f.published(i), others, r.stderr.Bytes())
		}
	}
}

// ends checks how all have ended, and that those receivers have published which ended with 0.
func (f *fan) ends(want proto.Code, says string, recvs ...proto.Code) {
	f.t.Helper()
	if code := f.cat.code(f.t); code != want || !strings.Contains(f.cat.stderr.String(), says) {
		f.t.Errorf("mesh-cat ended with %v, want %v and %q: %s", code, want, says, f.cat.stderr.Bytes())
	}
	for i, want := range recvs {
		if code := f.recvs[i].code(f.t); code != want || f.published(i) != (want == proto.OK) {
			f.t.Errorf("receiver %d ended with %v, published is %t, want %v: %s", i, code, f.published(i), want, f.recvs[i].stderr.Bytes())
		}
	}
}

// A peer at 100 kB/s is waited for, and dropped after --lag if it is not needed.
func TestFanoutSlow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		need, lag string
		code      proto.Code // of mesh-cat
		says      string
		slow      proto.Code // of the slow peer
	}{
		{"3", "500ms", proto.OK, "", proto.OK},
		{"2", "0", proto.OK, "", proto.OK},
		{"2", "500ms", proto.OK, "mesh-cat: 2 of 3: @2/tok failed: timeout (11)\n", proto.Timeout},
	} {
		t.Run(tt.need+" "+tt.lag, func(t *testing.T) {
			t.Parallel()
			f := newFan(t, 400_000, map[int]string{2: "sh -c 'exec \"$@\" --limit-rate 100000' sh"})
			f.args = []string{"--need", tt.need, "--lag", tt.lag}
			f.call()
			f.feed(0, len(f.data))
			f.in.Close()
			f.ends(tt.code, tt.says, proto.OK, proto.OK, tt.slow)
		})
	}
}

// The disk of one peer is full: the others have all if they are enough, and else nothing.
func TestFanoutFullDisk(t *testing.T) {
	t.Parallel()
	for need, others := range map[string]proto.Code{"2": proto.OK, "3": proto.Truncated} {
		t.Run(need, func(t *testing.T) {
			t.Parallel()
			at := t.TempDir()
			d := &delivery{in: filepath.Join(at, "in")}
			if err := os.Mkdir(d.in, 0o755); err != nil {
				t.Fatal(err)
			}
			d.mount(t, "size=1m")
			f := newFan(t, 3<<20, map[int]string{1: "sh -c 'rmdir in && ln -s " + d.in + " in && exec \"$@\"' sh"})
			f.args = []string{"--need", need}
			f.call()
			f.feed(0, len(f.data))
			f.in.Close()
			if others == proto.OK {
				f.ends(proto.OK, "mesh-cat: 2 of 3: @1/tok failed: space (41)\n", others, proto.Space, others)
			} else {
				f.ends(proto.Space, "@1/tok, one of 3 peers of which 3 are needed: ", others, proto.Space, others)
			}
		})
	}
}

// A producer that is killed is stored nowhere, and neither is what mesh-cat has read when it
// is killed itself.
func TestFanoutProducerKilled(t *testing.T) {
	t.Parallel()
	f := newFan(t, 1, nil)
	f.cat = begin(t, f.dir, nil, "mesh-cat", "--need", "1", "@0/tok,@1/tok,@2/tok", "--", "sh", "-c", "head -c 500000 /dev/zero; kill -9 $$")
	f.ends(proto.Producer, "the command ended with status 137", proto.Producer, proto.Producer, proto.Producer)

	f = newFan(t, 500_000, nil)
	f.args = []string{"--need", "1", "--via", "tcp"}
	f.call()
	f.feed(0, 300_000)
	for i := range f.recvs {
		f.has(i, 300_000)
	}
	if err := f.cat.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-f.cat.ended
	for i, r := range f.recvs {
		if code := r.code(t); code != proto.Truncated || f.published(i) {
			t.Errorf("receiver %d ended with %v, published is %t, want %v: %s", i, code, f.published(i), proto.Truncated, r.stderr.Bytes())
		}
	}
}

// Files go to each peer on its own: one that is killed costs the others nothing.
func TestFanoutFilesKilled(t *testing.T) {
	t.Parallel()
	f := newFan(t, 3<<20, nil)
	if err := os.WriteFile(filepath.Join(f.dir, "out"), f.data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.recvs[2].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.cat = begin(t, f.dir, nil, "mesh-cat", "--need", "2", "--lag", "500ms", "--resume-for", "0", "@0/tok,@1/tok,@2/tok", "out")
	for i := range 2 {
		await(t, filepath.Join(f.at(i), "in", "out"))
	}
	f.kill(2)
	f.ends(proto.OK, "mesh-cat: 2 of 3: @2/tok failed: ", proto.OK, proto.OK)
	if f.published(2) {
		t.Error("the killed one has published")
	}
}
