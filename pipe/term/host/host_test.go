//go:build unix

package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/pipe/term/host"
	"mesh/pipe/term/pty"
	"mesh/pipe/term/share"
	"mesh/pipe/term/sharetest"
	"mesh/pipe/term/vt"
	"mesh/proto"
	"mesh/proto/wire"
)

// hosted is a host whose command runs.
type hosted struct {
	*sharetest.Room
	tb   *testing.T
	done chan struct{} // closed when the rest is set
	exit pty.Exit
	err  error
	end  context.CancelCauseFunc
}

func newHosted(t *testing.T, o host.Options, script string) *hosted {
	t.Helper()
	o.Env = append(os.Environ(), "PS1=$ ")
	if script != "" {
		o.Command = []string{"/bin/sh", "-c", script}
	}
	if o.Cols == 0 {
		o.Cols, o.Rows = 80, 24
	}
	shared, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(context.Background())
	h := &hosted{Room: sharetest.Attach(t, shared.Session), tb: t, done: make(chan struct{}), end: end}
	serving := make(chan struct{})
	go func() {
		defer close(h.done)
		h.exit, h.err = shared.Run(ctx, func(ctx context.Context) {
			close(serving)
			<-ctx.Done()
		})
		h.err = errors.Join(h.err, shared.Close())
	}()
	t.Cleanup(func() {
		end(proto.Errorf(proto.Terminated, "test is over"))
		<-h.done
		h.Room.Wait()
	})
	select {
	case <-serving:
	case <-h.done:
	}
	return h
}

func (h *hosted) wait() {
	h.tb.Helper()
	select {
	case <-h.done:
	case <-time.After(sharetest.Patience):
		h.tb.Fatal("the session goes on")
	}
}

func TestHostEnds(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]pty.Exit{"exit 7": {Code: 7}, "kill -TERM $$": {Code: 143, Signal: 15}, "true": {}} {
		h := newHosted(t, host.Options{}, "read go; "+script)
		v := h.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
		h.Type([]byte("\r"))
		h.wait()
		v.WantEnd(proto.OK)
		if h.exit != want || h.err != nil || v.Exit.Code != want.Code || v.Exit.Signal != want.Signal {
			t.Errorf("%s: got %+v (%v) and told %+v", script, h.exit, h.err, v.Exit)
		}
	}
	h := newHosted(t, host.Options{}, "trap 'echo bye; exit 3' HUP; echo ready; while :; do sleep 0.02; done")
	v := h.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen})
	v.Wait("the command", func() bool { return v.Screen.Text()[0] == "ready" })
	h.end(proto.Errorf(proto.Terminated, "SIGTERM"))
	h.wait()
	if proto.CodeOf(h.err) != proto.Terminated || v.Exit == nil {
		t.Errorf("got %v and told %+v", h.err, v.Exit)
	}
	if _, err := host.New(host.Options{RecordTo: filepath.Join(t.TempDir(), "no", "file")}); proto.CodeOf(err) != proto.IO {
		t.Errorf("got %v, want %v", err, proto.IO)
	}
}

// The environment tells the command the session, and no token.
func TestHostEnvironment(t *testing.T) {
	t.Setenv("MESH_PEER", "mesh1secret")
	t.Setenv("MESH_CONTROL_TOKEN", "mesh1secret")
	dir := t.TempDir()
	h := newHosted(t, host.Options{Options: share.Options{Name: "build"}, SocketDir: filepath.Join(dir, strings.Repeat("long", 30))}, "read go; stty size; env | grep -e MESH_ -e secret | sort; ls -l $MESH_TTY_SOCKET | cut -c 1-10")
	v := h.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermRaw})
	h.Resize(99, 31)
	h.Type([]byte("\r"))
	h.wait()
	v.WantEnd(proto.OK)
	lines := strings.Split(strings.ReplaceAll(string(v.Raw), "\r\n", "\n"), "\n")
	want := []string{"", "31 99", "MESH_TTY_NAME=build", "MESH_TTY_SESSION=" + h.ID.String(), "MESH_TTY_SOCKET=", "srw-------", ""}
	for i := range max(len(lines), len(want)) {
		if i >= len(lines) || i >= len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got %q, want %q", lines, want)
		}
	}
	if _, err := os.Stat(strings.TrimPrefix(lines[4], "MESH_TTY_SOCKET=")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// A recording has what was printed. A typed password is in none of the files, nor its
// length, however the program asks for it.
func TestHostFiles(t *testing.T) {
	t.Parallel()
	for shell, ask := range map[string]string{
		"sh":   `stty -echo; printf 'password: '; read p; stty echo`,
		"bash": `read -s -p 'password: ' p`,
	} {
		if _, err := exec.LookPath(shell); err == nil {
			testHostFiles(t, shell, ask)
		}
	}
}

func testHostFiles(t *testing.T, shell, ask string) {
	dir := t.TempDir()
	record, audit := filepath.Join(dir, "r.cast"), filepath.Join(dir, "audit")
	script := "read go; " + ask + `; printf 'ok \360\237\231\202 \377'; exit 4`
	h := newHosted(t, host.Options{RecordTo: record, AuditTo: audit, Command: []string{shell, "-c", script}}, "")
	v := h.View(share.Visitor{ID: "mk1key", Addr: "192.0.2.9:1", Caps: sharetest.MayType}, wire.TermOpen{Mode: wire.TermScreen})
	v.TypeKeys("go\r")
	v.Wait("the question", func() bool { return strings.HasPrefix(v.Screen.Text()[1], "password:") })
	v.TypeKeys("hunter2\r")
	h.wait()
	if h.err != nil || h.exit.Code != 4 {
		t.Fatalf("got %+v (%v)", h.exit, h.err)
	}
	for _, name := range []string{record, audit} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("hunter2")) {
			t.Errorf("%s has the password: %s", name, text)
		}
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v (%v)", name, info.Mode(), err)
		}
		for _, want := range map[string][]string{
			record: {`"version":2`, "password: ", "ok 🙂 �"},
			audit:  {`"event":"share"`, `"event":"join"`, `"event":"typed","peer_id":"mk1key","peer":"mk1key","addr":"192.0.2.9:1","bytes":3}`, `"addr":"192.0.2.9:1","hidden":true}`, `"event":"exit","code":4`},
		}[name] {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s lacks %s: %s", name, want, text)
			}
		}
	}
}

// A stream is shared to its end, and copied to Next.
func TestHostStream(t *testing.T) {
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := newHosted(t, host.Options{Stream: r, Next: out}, "")
	v := h.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermRaw})
	if v.Session.Rights != "tty:view" {
		t.Errorf("who views a stream may %s", v.Session.Rights)
	}
	fmt.Fprint(w, "streamed")
	v.Wait("the stream", func() bool { return string(v.Raw) == "streamed" })
	w.Close()
	h.wait()
	v.WantEnd(proto.OK)
	if got, err := os.ReadFile(out.Name()); string(got) != "streamed" || h.err != nil {
		t.Errorf("got %q (%v, %v)", got, err, h.err)
	}
}

// During a flood, with one of three viewers taking nothing, memory stays flat, and the
// others get news all the time.
func TestFlood(t *testing.T) { // alone, since it looks at the memory
	const total = 12 << 20
	h := newHosted(t, host.Options{}, fmt.Sprintf("read go; yes | head -c %d; echo; echo end", total))
	ref := vt.New(80, 24, 0)
	var all []*sharetest.Viewer
	for range 3 {
		all = append(all, h.View(sharetest.Visitor(sharetest.MayView), wire.TermOpen{Mode: wire.TermScreen}))
	}
	for _, v := range all {
		v.Wait("the screen", func() bool { return v.Snapshots > 0 })
	}
	all[1].Stall(true)
	t.Cleanup(func() { all[1].Stall(false) })
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-h.done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
	})
	h.Type([]byte("\r"))
	for _, v := range []*sharetest.Viewer{all[0], all[2]} {
		v.Wait("the end", func() bool { return v.Exit != nil })
	}
	all[1].Stall(false)
	all[1].Wait("the end", func() bool { return all[1].Exit != nil })
	h.wait()
	wg.Wait()
	_, _ = ref.Write([]byte(strings.Repeat("y\r\n", 100) + "\r\nend\r\n"))
	for i, v := range all {
		if got, want := strings.Join(v.Screen.Text(), "\n"), strings.Join(ref.Text(), "\n"); got != want {
			t.Errorf("viewer %d ends with\n%s", i, got)
		}
		if i != 1 && v.Longest > 5*time.Second { // 200 ms on a quiet machine
			t.Errorf("viewer %d saw nothing new for %s", i, v.Longest)
		}
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// Over a slow link, what ends a flood is seen soon: little output is in flight.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	h := newHosted(t, host.Options{}, `trap 'printf "\033[2J\033[Hprompt"; exec cat' INT; echo begin; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done`)
	v := h.View(sharetest.Visitor(sharetest.MayType), wire.TermOpen{Mode: wire.TermScreen})
	v.Lock()
	v.Rate = 100e3
	v.Unlock()
	v.Wait("a snapshot in place of output", func() bool { return v.Snapshots > 3 && v.Gap > 1<<20 })
	begun := time.Now()
	h.Type([]byte("\x03"))
	v.Wait("the prompt", func() bool { return v.Screen.Text()[0] == "prompt" })
	// The history alone would take 20 s. On a quiet machine it is 300 ms, which
	// scripts/wan tty measures.
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the prompt took %s", took)
	}
}

// A session's socket is made in a private folder, or not at all.
func TestSocketFolderIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tty")
	for _, mode := range []os.FileMode{0o755, 0o710, 0o701} {
		_ = os.Remove(dir)
		if err := errors.Join(os.Mkdir(dir, mode), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		if h, err := host.New(host.Options{Command: []string{"true"}, SocketDir: dir}); proto.CodeOf(err) != proto.Config {
			t.Errorf("%04o: got %v, want %v", mode, err, proto.Config)
			if err == nil {
				_ = h.Close()
			}
		}
		warn := func(err error) { t.Errorf("%04o: got the warning %v", mode, err) }
		if _, err := host.New(host.Options{Command: []string{"true"}, SocketDir: dir, Warn: warn}); proto.CodeOf(err) != proto.Config {
			t.Errorf("%04o, with Warn: got %v, want %v", mode, err, proto.Config)
		}
		if names, _ := os.ReadDir(dir); len(names) != 0 {
			t.Errorf("%04o: got %v", mode, names)
		}
	}
}

// Without a socket a session goes on, if the caller is told.
func TestNoSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := host.Options{Command: []string{"true"}, SocketDir: filepath.Join(dir, "tty")}
	if _, err := host.New(o); proto.CodeOf(err) != proto.IO {
		t.Errorf("got %v, want %v", err, proto.IO)
	}
	var warned error
	o.Warn = func(err error) { warned = err }
	h, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Run(t.Context(), func(context.Context) {}); err != nil || proto.CodeOf(warned) != proto.IO {
		t.Errorf("got %v, and the warning %v", err, warned)
	}
}
