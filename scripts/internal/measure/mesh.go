//go:build unix

package measure

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Settings are the flags that all measuring programs have.
type Settings struct {
	Mesh    string
	Against string
	Check   bool
}

// MeshFlag adds --mesh.
func (s *Settings) MeshFlag(f *Flags) {
	f.StringVar(&s.Mesh, "mesh", "", "the mesh binary at `PATH` is under test (default: built from this source)")
}

// AllFlags adds --mesh, --against and --check.
func (s *Settings) AllFlags(f *Flags) {
	s.MeshFlag(f)
	f.StringVar(&s.Against, "against", "", "measure the mesh binary at `PATH` too, in turn, and print ratios")
	f.BoolVar(&s.Check, "check", false, "compare the figures with the bars; exit with 1 if one is missed")
}

// Mesh is a mesh binary under test.
type Mesh struct {
	label string
	dir   string // has a link for each tool
}

// Binaries returns the binary under test, and that of --against if it is given.
// It makes links to them in dir. Without --mesh, the binary is the file mesh in
// the folder of this program, where the scripts build it.
func (s Settings) Binaries(dir string) (all []Mesh, err error) {
	if s.Mesh == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		s.Mesh = filepath.Join(filepath.Dir(self), "mesh")
	}
	for i, path := range []string{s.Mesh, s.Against} {
		if path == "" {
			continue
		}
		m := Mesh{label: []string{"", "against: "}[i], dir: filepath.Join(dir, []string{"mesh", "against"}[i])}
		if err := m.link(path); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (m Mesh) link(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(path); err != nil {
		return UsageError{fmt.Errorf("mesh binary: %w", err)}
	}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	for _, tool := range []string{"cat", "recv", "tty"} {
		if err := os.Symlink(path, filepath.Join(m.dir, "mesh-"+tool)); err != nil {
			return err
		}
	}
	return nil
}

// Label returns name, marked if m is the binary of --against.
func (m Mesh) Label(name string) string { return m.label + name }

// Compared reports whether m is the binary of --against.
func (m Mesh) Compared() bool { return m.label != "" }

// Path returns the path of a tool such as "mesh-cat".
func (m Mesh) Path(tool string) string { return filepath.Join(m.dir, tool) }

// Command returns a command line for a host of j: line, split at spaces, and
// args. The words of line may contain TOKEN, a file in Dir; PEER, the argument
// that names that file; EVENTS, a file in Dir for each host; and HOST, TREE and
// OUT for the fields of j.
func (m Mesh) Command(j Job, host, line string, args ...string) *exec.Cmd {
	names := strings.NewReplacer("PEER", "@"+j.Token(), "TOKEN", j.Token(), "EVENTS", j.events(host),
		"HOST", j.Addr, "TREE", j.Tree, "OUT", j.Out)
	words := strings.Fields(line)
	for i := range words {
		words[i] = names.Replace(words[i])
	}
	cmd := j.On(host, m.Path(words[0]), append(words[1:], args...)...)
	cmd.Env = append(cmd.Env, "MESH_HOME="+filepath.Join(j.Home, host))
	return cmd
}

// Token is the file in which the listener leaves its token.
func (j Job) Token() string { return filepath.Join(j.Dir, "token") }

func (j Job) events(host string) string { return filepath.Join(j.Dir, "events-"+host) }

// Exists returns a function that reports whether a file exists.
func Exists(name string) func(*Process) bool {
	return func(*Process) bool {
		_, err := os.Stat(name)
		return err == nil
	}
}

// Tool returns a pair of command lines, as Command reads them, as a tool. The
// receiver's line gets --listen and --token-file. A line with OUT is for the
// task file alone, one with TREE for the task files alone.
func (m Mesh) Tool(name, send, recv string) *Tool {
	t := &Tool{Name: m.Label(name)}
	stores, walks := strings.Contains(recv, "OUT"), strings.Contains(send, "TREE")
	switch {
	case walks:
		t.Only = "files"
	case stores:
		t.Only = "file"
	}
	t.Open = func(j Job) (Ends, error) {
		return Ends{
			Recv:   m.Command(j, "b", recv+" --listen HOST:0 --token-file TOKEN"),
			Ready:  Exists(j.Token()),
			Send:   m.Command(j, "a", send),
			Stores: stores, Walks: walks,
		}, nil
	}
	return t
}

// Share starts mesh-tty --share with more flags and a command, and waits for its
// tokens: PEER to view, PEER.control to type as well.
func (m Mesh) Share(ctx context.Context, j Job, flags string, command ...string) (*Process, error) {
	line := "mesh-tty --share --headless --size 80x24 --control --token-file TOKEN " + flags + " --"
	return StartReady(ctx, m.Command(j, "b", line, command...), nil, Exists(j.Token()+".control"))
}

// Event is the part of a line of --events that the programs use.
type Event struct {
	Event  string
	Time   time.Time
	Via    string
	BLAKE3 string
	Bytes  int64
}

// Events returns the whole lines of the file EVENTS of a host.
func (j Job) Events(host string) (events []Event) {
	f, err := os.Open(j.events(host))
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// Via returns the transport of the last event of the sending host that has one.
func (j Job) Via() (via string) {
	for _, e := range j.Events("a") {
		if e.Via != "" {
			via = e.Via
		}
	}
	return via
}
