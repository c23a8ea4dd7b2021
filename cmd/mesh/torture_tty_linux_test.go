package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mesh/pipe/term/pty"
	"mesh/pipe/term/vt"
	"mesh/proto"
)

// TestTTYFlood shares a command that prints as fast as it can. One viewer takes every
// byte, one takes lines of text, and one is stopped. No viewer may need more and more
// memory or slow the command down. The stopped one must show the newest screen once it
// continues.
//
// It does not run in parallel with other tests, because it compares speeds.
func TestTTYFlood(t *testing.T) {
	span := time.Duration(torture(t, "TORTURE_FLOOD", 3, 10, 600)) * time.Second
	const (
		maxGrowth = 64 << 10 // KiB
		minSpeed  = 0.3      // the promise is 0.8: a busy machine gives each process less
	)
	dir := t.TempDir()
	// To the sharer a stopped viewer looks like a lost one, so its link breaks.
	sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--listen", "127.0.0.1:0", "--token-file", "tok",
		"--audit", "audit", "--resume-for", "1h", "--", "sh", "-c", "yes; echo the flood is over; exec cat")
	await(t, filepath.Join(dir, "tok"))
	yes := 0
	poll(t, "the flood", func() bool { yes = descendant(sharer.Process.Pid, "yes"); return yes != 0 })
	aside := min(max(span/5, 2*time.Second), 20*time.Second) // for each measurement without viewers
	before := floodSpeed(t, yes, aside, nil)

	all := begin(t, dir, nil, "mesh-tty", "--raw", "@tok")
	lines := begin(t, dir, nil, "mesh-tty", "--plain", "@tok")
	stopped := viewOnPTY(t, dir, "--resume-for", "1h", "@tok")
	stopped.wait(t, "y\ny\n")
	poll(t, "three viewers", func() bool {
		audit, _ := os.ReadFile(filepath.Join(dir, "audit"))
		return bytes.Count(audit, []byte(`"join"`)) == 3
	})
	pid := stopped.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	poll(t, "the viewer is stopped", func() bool { return procState(pid) == "T" })

	watched := []*aTool{sharer, all, lines}
	early, most := make([]int, len(watched)), make([]int, len(watched)) // KiB: when they are warm, and from then on
	warm := time.Now().Add(span / 5)
	speed := floodSpeed(t, yes, span, func() {
		for i, p := range watched {
			rss := procStatus(p, "VmRSS")
			if time.Now().Before(warm) {
				early[i], most[i] = rss, rss
			}
			most[i] = max(most[i], rss)
		}
	})
	if got := procState(pid); got != "T" {
		t.Fatalf("the stopped viewer's state: got %q, want T", got)
	}
	var memory strings.Builder
	for i, p := range watched {
		fmt.Fprintf(&memory, ", %s %d to %d", p.Args[1], early[i]>>10, most[i]>>10)
		if growth := most[i] - early[i]; growth > maxGrowth && !raceDetector {
			t.Errorf("%v: grew by %d KiB, want at most %d", p.Args, growth, maxGrowth)
		}
	}
	for _, p := range []*aTool{all, lines} {
		_ = p.Process.Signal(syscall.SIGTERM)
		if got := p.code(t); got != proto.Terminated {
			t.Errorf("%v: ended with %v, want %v: %s", p.Args, got, proto.Terminated, p.stderr.Bytes())
		}
	}
	after := floodSpeed(t, yes, aside, nil) // the machine may have become slower
	if speed < minSpeed*min(before, after) && !raceDetector {
		t.Errorf("the flood: got %.1f MB/s, want at least %.0f %% of the %.1f and %.1f without viewers", speed/1e6, minSpeed*100, before/1e6, after/1e6)
	}

	if err := syscall.Kill(yes, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	stopped.wait(t, "the flood is over")
	again := time.Since(begun)
	_ = sharer.Process.Signal(syscall.SIGTERM)
	if got := sharer.code(t); got != proto.Terminated {
		t.Errorf("%v: ended with %v, want %v: %s", sharer.Args, got, proto.Terminated, sharer.stderr.Bytes())
	}
	t.Logf("torture: yes for %v with three viewers, one stopped: %.1f MB/s, %.0f %% of what it is without (%.1f before, %.1f after); memory in MiB%s; the stopped one had the screen %v after SIGCONT",
		span, speed/1e6, speed/(before+after)*200, before/1e6, after/1e6, memory.String(), again.Round(time.Millisecond))
}

// TestTTYManyViewers lets many processes view a screen that changes ten times a second.
// All must show the same in the end, and none may lose its link.
func TestTTYManyViewers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	n := int(torture(t, "TORTURE_VIEWERS", 5, 10, 100))
	seconds := int(torture(t, "TORTURE_TOP", 1, 3, 30))
	if _, err := exec.LookPath("top"); err != nil {
		t.Skip("no top here")
	}
	const maxRSS = 150 << 10 // KiB
	dir := t.TempDir()
	sharer := begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--control", "--listen", "127.0.0.1:0", "--token-file", "tok", "--audit", "audit",
		"--", "sh", "-c", fmt.Sprintf("echo ready; read go; top -d 0.1 -n %d; echo all seen; exec cat", 10*seconds))
	await(t, filepath.Join(dir, "tok.control"))
	viewers := make([]*ptyViewer, n)
	for i := range viewers {
		token := "@tok"
		if i == 0 {
			token += ".control"
		}
		viewers[i] = viewOnPTY(t, dir, token)
	}
	for _, v := range viewers {
		v.wait(t, "ready")
	}
	most := 0
	begun := time.Now()
	if _, err := viewers[0].Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := begun.Add(time.Duration(seconds)*time.Second + waitLimit); !viewers[0].has("all seen"); <-tick.C {
		most = max(most, procStatus(sharer, "VmRSS"))
		if time.Now().After(limit) {
			t.Fatalf("top runs for %v, want %d s", time.Since(begun), seconds)
		}
	}
	ran := time.Since(begun)
	for i, v := range viewers {
		v.wait(t, "all seen")
		poll(t, fmt.Sprintf("viewer %d sees what the first does", i), func() bool { return v.picture() == viewers[0].picture() })
	}
	audit, err := os.ReadFile(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	if joined, left := bytes.Count(audit, []byte(`"join"`)), bytes.Count(audit, []byte(`"leave"`)); joined != n || left != 0 {
		t.Errorf("%d joined and %d left, want %d and none", joined, left, n)
	}
	if most > maxRSS && !raceDetector {
		t.Errorf("the sharer has %d KiB, want at most %d", most, maxRSS)
	}
	t.Logf("torture: %d viewers, processes on terminals of their own, see %v of top -d 0.1: all the same in the end, none lost; the sharer has %d MiB", n, ran.Round(100*time.Millisecond), most>>10)
}

// TestTTYFresh measures how old the screen of a viewer is during a flood of lines that
// all differ. The promise is 200 ms; the limit is higher, for a busy machine.
func TestTTYFresh(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	span := time.Duration(torture(t, "TORTURE_FRESH", 2, 5, 60)) * time.Second
	const maxOld = 2 * time.Second
	dir := t.TempDir()
	begin(t, dir, nil, "mesh-tty", "--share", "--headless", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "seq", "inf")
	await(t, filepath.Join(dir, "tok"))
	v := viewOnPTY(t, dir, "@tok")
	poll(t, "numbers", func() bool { return v.has("00") })
	var gaps []time.Duration
	last, at := "", time.Now()
	v.mu.Lock()
	v.drawn = func() {
		if line := v.screen.Text()[0]; line != last {
			last = line
			gaps = append(gaps, time.Since(at))
			at = time.Now()
		}
	}
	v.mu.Unlock()
	<-time.After(span)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drawn = nil
	gaps = append(gaps, time.Since(at))
	slices.Sort(gaps)
	if got := gaps[len(gaps)-1]; got > maxOld && !raceDetector {
		t.Errorf("a screen was %v old, want at most %v", got, maxOld)
	}
	t.Logf("torture: a viewer of a flood for %v: %d screens, a new one every %v at the median, %v at p99, %v at most", span, len(gaps),
		gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)*99/100].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
}

// floodSpeed returns how many bytes a second a process writes. Meanwhile it calls look,
// unless that is nil, ten times a second.
func floodSpeed(t *testing.T, pid int, span time.Duration, look func()) float64 {
	t.Helper()
	begun, before := time.Now(), written(t, pid)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begun) < span {
		<-tick.C
		if look != nil {
			look()
		}
	}
	return float64(written(t, pid)-before) / time.Since(begun).Seconds()
}

// written returns how many bytes a process has written.
func written(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^wchar: (\d+)`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no wchar in %s", text)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// procState returns the state of a process, for example S or T, and "" if there is no
// such process.
func procState(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(text, ')'); i >= 0 && i+2 < len(text) {
		return string(text[i+2 : i+3])
	}
	return ""
}

// descendant returns the number of a process with this name below another one, or 0.
func descendant(pid int, name string) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for child := range strings.FieldsSeq(string(text)) {
			n, _ := strconv.Atoi(child)
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", n)); string(comm) == name+"\n" {
				return n
			}
			if found := descendant(n, name); found != 0 {
				return found
			}
		}
	}
	return 0
}

// ptyViewer is a mesh-tty on a terminal of its own. Under tmux a viewer cannot stay
// stopped: tmux continues its children.
type ptyViewer struct {
	*pty.Process

	ended chan struct{} // closed when it has closed its terminal

	mu      sync.Mutex
	screen  *vt.Terminal
	written []byte // the first of it
	drawn   func() // if there is one, called after each read
}

// maxWritten limits how much of the output of a viewer is kept.
const maxWritten = 4 << 20

// rest waits for the end of the viewer and returns its output.
func (v *ptyViewer) rest() []byte {
	<-v.ended
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.written
}

func viewOnPTY(t *testing.T, dir string, args ...string) *ptyViewer {
	t.Helper()
	path, err := exec.LookPath("mesh-tty")
	if err != nil {
		t.Fatal(err)
	}
	for i, arg := range args {
		if token, ok := strings.CutPrefix(arg, "@"); ok {
			args[i] = "@" + filepath.Join(dir, token)
		}
	}
	p, err := pty.Start(pty.Options{
		Command: append([]string{path}, args...), Cols: 80, Rows: 24,
		Env: append(os.Environ(), "MESH_HOME="+filepath.Join(dir, "home"), "TERM=xterm-256color"),
	})
	if err != nil {
		t.Fatal(err)
	}
	v := &ptyViewer{Process: p, screen: vt.New(80, 24, 0), ended: make(chan struct{})}
	go func() {
		defer close(v.ended)
		buf := make([]byte, 64<<10)
		for {
			n, err := p.Read(buf)
			v.mu.Lock()
			_, _ = v.screen.Write(buf[:n])
			v.written = append(v.written, buf[:min(n, maxWritten-len(v.written))]...)
			if v.drawn != nil {
				v.drawn()
			}
			v.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(p.Pid(), syscall.SIGCONT)
		p.Close()
		<-v.ended
	})
	return v
}

// wait waits until the screen has a text.
func (v *ptyViewer) wait(t *testing.T, text string) {
	t.Helper()
	poll(t, fmt.Sprintf("the screen has %q", text), func() bool { return v.has(text) })
}

func (v *ptyViewer) has(text string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Contains(strings.Join(v.screen.Text(), "\n"), text)
}

// picture returns the whole screen, with colours and cursor.
func (v *ptyViewer) picture() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	for y := range 24 {
		fmt.Fprintln(&b, v.screen.Line(y))
	}
	fmt.Fprint(&b, v.screen.Cursor())
	return b.String()
}
