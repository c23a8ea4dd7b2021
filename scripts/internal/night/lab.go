//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lab is a switch with machines, each of which is a network namespace.
type lab struct {
	dir, mesh string
	moves     bool // the clocks of mesh can be moved
	id        string
	count     atomic.Int64 // of processes

	mu       sync.Mutex // guards what follows
	machines []*machine
	disks    []string // mounted
	running  map[*process]bool
	ended    bool
}

// machine is one of them, with a state folder and a clock.
type machine struct {
	lab        *lab
	name, addr string
	dir        string // of its files; home is its state folder
	env        []string
}

func (m *machine) home() string  { return filepath.Join(m.dir, "home") }
func (m *machine) clock() string { return filepath.Join(m.dir, "clock") }

func newLab(dir, mesh string, moves bool) (*lab, error) {
	l := &lab{dir: dir, mesh: mesh, moves: moves, id: fmt.Sprint("night", os.Getpid()), running: make(map[*process]bool)}
	if err := ip("netns", "add", l.id); err != nil {
		return nil, &lacking{"no network namespaces to be had: " + err.Error()}
	}
	if err := errors.Join(ip("-n", l.id, "link", "add", "switch", "type", "bridge"), ip("-n", l.id, "link", "set", "switch", "up")); err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// machine makes a machine with an address.
func (l *lab) machine(name, addr string) (*machine, error) {
	m := &machine{lab: l, name: name, addr: addr, dir: filepath.Join(l.dir, name)}
	ns := m.namespace()
	l.mu.Lock()
	l.machines = append(l.machines, m)
	l.mu.Unlock()
	return m, errors.Join(
		os.MkdirAll(m.home(), 0o700),
		ip("netns", "add", ns),
		ip("-n", l.id, "link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", name, "netns", l.id),
		ip("-n", l.id, "link", "set", name, "master", "switch", "up"),
		ip("-n", ns, "addr", "add", addr+"/16", "dev", "eth0"),
		ip("-n", ns, "link", "set", "eth0", "up"),
		ip("-n", ns, "link", "set", "lo", "up"),
		m.setClock(0),
	)
}

// node makes a node on the machine of another one, with a state folder of its own.
func (m *machine) node(name string) (*machine, error) {
	other := &machine{lab: m.lab, name: m.name, addr: m.addr, dir: filepath.Join(m.lab.dir, name)}
	return other, errors.Join(os.MkdirAll(other.home(), 0o700), other.setClock(0))
}

func (m *machine) namespace() string { return m.lab.id + "-" + m.name }

// cut cuts the machine off, or joins it again.
func (m *machine) cut(off bool) error {
	state := "up"
	if off {
		state = "down"
	}
	return ip("-n", m.lab.id, "link", "set", m.name, state)
}

// setClock moves the clock of the machine's processes to so long after that of this one.
func (m *machine) setClock(d time.Duration) error {
	text := strconv.FormatInt(int64(d/time.Second), 10)
	if err := os.WriteFile(m.clock()+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(m.clock()+".new", m.clock())
}

// process is a running program.
type process struct {
	*exec.Cmd
	out, err string        // the files of its output
	done     chan struct{} // closed when it has ended
	end      time.Time
}

func (p *process) stdout() string { text, _ := os.ReadFile(p.out); return string(text) }
func (p *process) stderr() string { text, _ := os.ReadFile(p.err); return string(text) }

// start starts mesh on a machine.
func (m *machine) start(args ...string) (*process, error) {
	return m.begin(append([]string{m.lab.mesh}, args...)...)
}

// begin starts a program on a machine.
func (m *machine) begin(words ...string) (*process, error) {
	base := filepath.Join(m.dir, fmt.Sprintf("run%05d", m.lab.count.Add(1)))
	p := &process{Cmd: exec.Command("ip", append([]string{"netns", "exec", m.namespace()}, words...)...), out: base + ".out", err: base + ".err", done: make(chan struct{})}
	out, err := os.Create(p.out)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	complaints, err := os.Create(p.err)
	if err != nil {
		return nil, err
	}
	defer complaints.Close()
	p.Dir, p.Stdout, p.Stderr = m.dir, out, complaints
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "MESH_HOME=" + m.home(), "GOTRACEBACK=all"}, m.env...)
	if m.lab.moves {
		p.Env = append(p.Env, clockVariable+"="+m.clock())
	}
	l := m.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errors.New("the trial is over")
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	l.running[p] = true
	go func() {
		_ = p.Wait() // the state says it all
		p.end = time.Now()
		l.mu.Lock()
		delete(l.running, p)
		l.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

// status waits for the end, and returns the exit status: -1 after a signal.
func (p *process) status() int {
	<-p.done
	return p.ProcessState.ExitCode()
}

// run runs mesh, and fails if that does not end with 0. It returns its output.
func (m *machine) run(args ...string) (string, error) {
	p, err := m.start(args...)
	if err != nil {
		return "", err
	}
	if status := p.status(); status != 0 {
		return "", fmt.Errorf("%s: mesh %s ended with %d: %s", m.name, strings.Join(args, " "), status, p.stderr())
	}
	return strings.TrimSpace(p.stdout()), nil
}

// disk mounts a small disk.
func (l *lab) disk(path, size string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0700,size="+size, "tmpfs", path).CombinedOutput(); err != nil {
		return &lacking{fmt.Sprintf("no small disk to be had: %v: %s", err, out)}
	}
	l.disks = append(l.disks, path)
	return nil
}

// end ends all that was started.
func (l *lab) end() {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	var left []*process
	for p := range l.running {
		_ = p.Process.Kill()
		left = append(left, p)
	}
	l.mu.Unlock()
	for _, p := range left {
		<-p.done
	}
	for _, m := range l.machines { // what jobs have left behind
		out, _ := exec.Command("ip", "netns", "pids", m.namespace()).Output()
		for word := range strings.FieldsSeq(string(out)) {
			if pid, err := strconv.Atoi(word); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = ip("netns", "del", m.namespace())
	}
	_ = ip("netns", "del", l.id)
	for _, path := range l.disks {
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
	}
}

// eventually waits up to a minute until f is true.
func eventually(what string, f func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !f(); <-tick.C {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within a minute", what)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
