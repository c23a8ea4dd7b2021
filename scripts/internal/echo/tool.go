//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mesh/pipe/term/pty"
	"mesh/pipe/term/vt"
)

const (
	cols, rows = 80, 24
	// patience bounds the wait for one key, or for a tool to be there.
	patience = 20 * time.Second
	// slowKeys is how often a flood is ended over a slow link.
	slowKeys = 5
	// floodTime is how long a flood runs at least.
	floodTime = 2 * time.Second
)

// session is a client that is about to run, and what stops the rest.
type session struct {
	command []string
	env     []string
	close   func()
}

// tool is one way to a terminal. Its open starts what must run before the client
// does; the child's words are a command line for a shell.
type tool struct {
	name       string
	open, slow func(ctx context.Context, dir, child string) (session, error)
	speedOnly  bool
}

// measure does one round.
func (t *tool) measure(ctx context.Context, s settings, dir string, f *figures) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	speed := filepath.Join(dir, "speed")
	child := func(how string) string {
		return fmt.Sprintf("stty raw -echo; exec %s child %s %s", self, speed, how)
	}
	if !t.speedOnly {
		if err := t.round(ctx, dir, child(""), s.keys, t.open, &f.idle); err != nil {
			return err
		}
	}
	_ = os.Remove(speed)
	keys := s.keys
	if t.speedOnly {
		keys = 0
	}
	if err := t.round(ctx, dir, child("flood"), keys, t.open, &f.flooded); err != nil {
		return err
	}
	if err := wait("the child's end", func() bool {
		text, err := os.ReadFile(speed)
		if err != nil || len(text) == 0 {
			return false
		}
		n, err := strconv.ParseFloat(string(text), 64)
		f.speed = append(f.speed, n)
		return err == nil
	}); err != nil {
		return err
	}
	if t.slow == nil {
		return nil
	}
	for range slowKeys {
		if err := t.round(ctx, dir, child("flood"), -1, t.slow, &f.slow); err != nil {
			return err
		}
	}
	return nil
}

// round presses keys on one client, or for -1 the one that ends the flood, and
// then ends the child.
func (t *tool) round(ctx context.Context, dir, child string, keys int, open func(context.Context, string, string) (session, error), took *[]time.Duration) error {
	o, err := open(ctx, dir, child)
	if err != nil {
		return err
	}
	defer o.close()
	if o.command == nil { // nobody views
		time.Sleep(floodTime)
		return nil
	}
	p, err := pty.Start(pty.Options{Command: o.command, Env: append(os.Environ(), o.env...), Cols: cols, Rows: rows})
	if err != nil {
		return err
	}
	defer p.Close()
	w := &watcher{screen: vt.New(cols, rows, 0), changed: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { w.follow(p) })
	if err := w.until("ready", func() bool { return strings.Contains(strings.Join(w.screen.Text(), "\n"), "y") }); err != nil {
		return err
	}
	begun := time.Now()
	if keys < 0 {
		time.Sleep(floodTime)
		d, err := w.press(p, keyStop, '!')
		if err != nil {
			return err
		}
		*took = append(*took, d)
	}
	for i := range keys {
		key := byte('a' + i%26)
		d, err := w.press(p, key, key)
		if err != nil {
			return err
		}
		*took = append(*took, d)
		time.Sleep(time.Duration(20+rand.IntN(20)) * time.Millisecond) // a person is slower
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	time.Sleep(floodTime - time.Since(begun))
	_, err = p.Write([]byte{keyEnd})
	time.Sleep(300 * time.Millisecond)
	_ = syscall.Kill(p.Pid(), syscall.SIGTERM) // a viewer whose session is gone ends by itself
	return err
}

// watcher reads a client's screen.
type watcher struct {
	mu      sync.Mutex
	screen  *vt.Terminal
	ended   bool
	changed chan struct{}
}

func (w *watcher) follow(p *pty.Process) {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.Read(buf)
		w.mu.Lock()
		_, _ = w.screen.Write(buf[:n])
		w.ended = err != nil
		w.mu.Unlock()
		select {
		case w.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// press presses a key and returns how long it took until the corner shows it.
func (w *watcher) press(p *pty.Process, key, shows byte) (time.Duration, error) {
	begun := time.Now()
	if _, err := p.Write([]byte{key}); err != nil {
		return 0, err
	}
	err := w.until("key "+string(shows), func() bool { return w.screen.Line(0)[0].Text == string(shows) })
	return time.Since(begun), err
}

func (w *watcher) until(what string, is func() bool) error {
	late := time.After(patience)
	for {
		w.mu.Lock()
		ok, ended := is(), w.ended
		text := strings.Join(w.screen.Text(), "\n")
		w.mu.Unlock()
		switch {
		case ok:
			return nil
		case ended:
			return fmt.Errorf("no %s: the client ended: %s", what, strings.TrimSpace(text))
		}
		select {
		case <-w.changed:
		case <-late:
			return fmt.Errorf("no %s in %s: %s", what, patience, strings.TrimSpace(text))
		}
	}
}

func wait(what string, is func() bool) error {
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("no " + what)
		}
	}
	return nil
}

func alone(_ context.Context, _, child string) (session, error) {
	return session{command: []string{"sh", "-c", child}, close: func() {}}, nil
}

// begin starts a process that runs beside the client.
func begin(ctx context.Context, env []string, command ...string) (stop func(), err error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var words strings.Builder
	cmd.Stderr = &words
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}

// sharing starts a session and returns what stops it.
func sharing(ctx context.Context, mesh, dir, child string, flags ...string) (env []string, token string, stop func(), err error) {
	if mesh == "" {
		return nil, "", nil, errors.New("mesh-tty was not built")
	}
	env = []string{"MESH_HOME=" + filepath.Join(dir, "home")}
	token = filepath.Join(dir, "token")
	for _, suffix := range []string{"", ".control"} {
		_ = os.Remove(token + suffix)
	}
	args := append([]string{mesh + "/mesh-tty", "--share", "--headless", "--control", "--size", "80x24", "--token-file", token}, flags...)
	if stop, err = begin(ctx, env, append(args, "--", "sh", "-c", child)...); err != nil {
		return nil, "", nil, err
	}
	err = wait("token", func() bool {
		_, err := os.Stat(token + ".control")
		return err == nil
	})
	return env, token + ".control", stop, err
}

func unseen(mesh string) func(context.Context, string, string) (session, error) {
	return func(ctx context.Context, dir, child string) (session, error) {
		_, _, stop, err := sharing(ctx, mesh, dir, child, "--listen", "127.0.0.1:0")
		return session{close: stop}, err
	}
}

func meshTTY(mesh, via string, slow bool) func(context.Context, string, string) (session, error) {
	return func(ctx context.Context, dir, child string) (session, error) {
		flags := []string{"--listen", "127.0.0.1:0"}
		end := func() {}
		if slow {
			r, err := newRelay()
			if err != nil {
				return session{}, err
			}
			port, err := freePort()
			if err != nil {
				return session{}, err
			}
			r.run("127.0.0.1:" + port)
			end = r.close
			flags = []string{"--listen", "127.0.0.1:" + port, "--addr", r.addr()}
		}
		env, token, stop, err := sharing(ctx, mesh, dir, child, flags...)
		if err != nil {
			end()
			return session{}, err
		}
		return session{
			command: []string{mesh + "/mesh-tty", "--via", via, "@" + token}, env: env,
			close: func() { stop(); end() },
		}, nil
	}
}
