//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// world is all nodes and what happens to them.
type world struct {
	*lab
	options

	random     *rand.Rand
	hub        *machine
	hubProcess *process
	hubURL     string
	recorder   *machine
	recording  *process
	boxes      map[string]*inbox
	peers      []*peer
	batches    []*batch

	mu  sync.Mutex // guards odd
	odd []string   // differences that were found on the way

	deliveries, messages, alarms, unclear, files int // for figures
	bytes                                        int64
}

// inbox is a mesh-listen --inbox.
type inbox struct {
	*machine

	name, id string
	disk     string // the folder
	process  *process
	events   []string    // one file for each start
	starts   []time.Time // by the clock of this machine
	kills    []time.Time
	pushed   time.Time // when the clock was moved by push; zero for never
}

// push is how far the clock of the vault is moved. It is less than what the silence alarm
// takes for a sleep of the machine.
const push = 100 * time.Second

// keep is how many pipes the vault keeps of each peer.
const keep = 2

const (
	hubAddr, boxAddr, recorderAddr = "10.78.0.1", "10.78.0.2", "10.78.0.3"
	// resumeFor is how long a link may be broken.
	resumeFor = 12 * time.Second
	repeat    = 30 * time.Hour
)

// newWorld makes the nodes: a hub, the inboxes nas and vault on one machine, a recorder of
// notifications, and the peers.
func newWorld(l *lab, o options) (*world, error) {
	w := &world{lab: l, options: o, random: rand.New(rand.NewPCG(o.seed, 1)), boxes: make(map[string]*inbox)}
	var err error
	if w.hub, err = l.machine("hub", hubAddr); err != nil {
		return nil, err
	}
	if w.recorder, err = l.machine("recorder", recorderAddr); err != nil {
		return nil, err
	}
	if err := w.startRecorder(); err != nil {
		return nil, err
	}
	if err := w.startHub(); err != nil {
		return nil, err
	}
	box, err := l.machine("box", boxAddr)
	if err != nil {
		return nil, err
	}
	for i := range o.peers {
		if err := w.newPeer(i); err != nil {
			return nil, err
		}
	}
	if err := together(4, w.peers, func(p *peer) (err error) {
		p.id, err = w.join(p.machine)
		return err
	}); err != nil {
		return nil, err
	}
	for _, name := range []string{"nas", "vault"} {
		if err := w.newInbox(box, name); err != nil {
			return nil, err
		}
	}
	for _, p := range w.peers {
		if err := w.configure(p); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *world) newPeer(i int) error {
	m, err := w.machine(fmt.Sprintf("p%02d", i+1), fmt.Sprintf("10.78.1.%d", i+1))
	if err != nil {
		return err
	}
	p := &peer{machine: m, watched: i%7 == 2}
	if i%2 == 1 {
		p.told = filepath.Join(p.dir, "told")
	}
	for n, kind := range kinds[:w.jobs] {
		p.jobs = append(p.jobs, &job{peer: p, name: p.name + "-" + kind, kind: kind, retry: (i+n)%2 == 0})
	}
	w.peers = append(w.peers, p)
	return os.Mkdir(p.metrics(), 0o700)
}

// join makes a node a member of the hub, and returns its id.
func (w *world) join(m *machine) (id string, err error) {
	if id, err = m.run("token", "id"); err == nil {
		_, err = w.hub.run("hub", "member", "add", id)
	}
	if err == nil {
		_, err = m.run("hub", "join", w.hubURL)
	}
	return id, err
}

// notifyTable returns the table [notify] of a node.
func notifyTable(node, told string) string {
	text := fmt.Sprintf("\n[notify]\nrepeat = \"%s\"\n", repeat)
	if told != "" {
		return text + fmt.Sprintf("command = %q\n", "cat >>"+told)
	}
	return text + fmt.Sprintf("webhook = { url = \"http://%s/%s\", secret-file = \"hook.key\", plain = true }\n", recorderAddr, node)
}

// write writes a file of the state folder.
func (m *machine) write(name, text string) error {
	return os.WriteFile(filepath.Join(m.home(), name), []byte(text), 0o600)
}

func (w *world) configure(p *peer) error {
	via := []string{"auto", "tcp", "quic"}[w.random.IntN(3)]
	var text strings.Builder
	fmt.Fprintf(&text, "[call]\ntrust = \"hub\"\nresume-for = \"%s\"\nvia = \"%s\"\n", resumeFor, via)
	for _, j := range p.jobs {
		text.WriteString(j.settings())
	}
	known := ""
	if w.random.IntN(2) == 0 { // its key is known, and the hub gives the addresses
		known = fmt.Sprintf("nas %s\nvault %s\n", w.boxes["nas"].id, w.boxes["vault"].id)
	}
	return errors.Join(p.write("config.toml", text.String()+notifyTable(p.name, p.told)), p.write("hook.key", hookSecret), p.write("known_peers", known))
}

func (w *world) newInbox(on *machine, name string) error {
	m, err := on.node(name)
	if err != nil {
		return err
	}
	b := &inbox{machine: m, name: name, disk: filepath.Join(m.dir, "in")}
	w.boxes[name] = b
	size := 16 + w.options.peers*w.jobs*w.nights/2 // MiB
	if err := w.disk(b.disk, fmt.Sprint(size, "m")); err != nil {
		return err
	}
	if b.id, err = w.join(m); err != nil {
		return err
	}
	var known, allowed, text strings.Builder
	fmt.Fprintf(&text, `[listen]
as = %q
listen = ":%d"
verbose = true
[inbox]
dir = %q
by-peer = true
max-size = %d
on-receive = %q
`, name, map[string]int{"nas": 4600, "vault": 4700}[name], b.disk, maxBytes, `printf '%s\t%s\t%s\t%s\t%s\n' "$(date +%s.%N)" "$MESH_PEER_NAME" "$MESH_BLAKE3" "$MESH_STORED" "$MESH_FILE" >>`+b.log())
	if name == "vault" {
		fmt.Fprintf(&text, "name = \"{peer}-{time}.dump\"\nrename = true\nkeep = %d\n", keep)
	}
	for _, p := range w.peers {
		fmt.Fprintf(&known, "%s %s\n", p.name, p.id)
		fmt.Fprintf(&allowed, "%s send\n", p.id)
		switch {
		case name == "nas":
			fmt.Fprintf(&text, "[peers.%s]\nexpect = \"3h\"\n", p.name)
		case p.watched:
			fmt.Fprintf(&text, "[peers.%s]\nexpect = \"1m\"\n", p.name)
		}
	}
	if err := errors.Join(
		m.write("config.toml", text.String()+notifyTable(name, "")), m.write("hook.key", hookSecret),
		m.write("known_peers", known.String()), m.write("authorized_peers", allowed.String()),
	); err != nil {
		return err
	}
	return w.startInbox(b)
}

// log is the file that the command for what was stored writes.
func (b *inbox) log() string { return filepath.Join(b.dir, "log") }

func (w *world) startInbox(b *inbox) error {
	events := filepath.Join(b.dir, fmt.Sprint("events.", len(b.events)))
	p, err := b.start("listen", "--events", events)
	if err != nil {
		return err
	}
	b.process, b.events, b.starts = p, append(b.events, events), append(b.starts, time.Now())
	return eventually(b.name+" is at the hub", func() bool {
		text, _ := os.ReadFile(events)
		return strings.Contains(string(text), `"event":"online"`)
	})
}

func (w *world) startHub() error {
	p, err := w.hub.start("hub", "serve", "-v", "--drain", "1s")
	if err != nil {
		return err
	}
	w.hubProcess = p
	return eventually("the hub answers", func() bool {
		for line := range strings.Lines(p.stdout()) {
			if url, is := strings.CutPrefix(strings.TrimSpace(line), "mesh-hub join "); is {
				w.hubURL = url
				return true
			}
		}
		return false
	})
}

func (w *world) startRecorder() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.recording, err = w.recorder.begin(self, recorderWord, recorderAddr+":80", filepath.Join(w.recorder.dir, "told"))
	return err
}

// stop ends a process with a signal, and waits for its end.
func stop(p *process, s syscall.Signal) {
	_ = p.Process.Signal(s)
	<-p.done
}

func (w *world) differ(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.odd = append(w.odd, fmt.Sprintf(format, args...))
}

// together calls f for each of all, n at a time, and returns the errors.
func together[T any](n int, all []T, f func(T) error) error {
	places := make(chan struct{}, n)
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, one := range all {
		places <- struct{}{}
		wg.Go(func() {
			errs[i] = f(one)
			<-places
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
