//go:build unix

package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Settings are the flags that all measuring programs have, and what follows from
// them.
type Settings struct {
	Mesh, Against string
	Check         bool

	Dir      string // for temporary files
	Binaries []Mesh // the one under test, then that of --against, if there is one
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

// Prepare makes Dir, which the caller must remove, and Binaries. Without --mesh,
// the binary under test is the file mesh in the folder of this program, where the
// scripts build it.
func (s *Settings) Prepare() (err error) {
	if s.Mesh == "" {
		s.Mesh = filepath.Join(filepath.Dir(Self()), "mesh")
	}
	if s.Dir, err = os.MkdirTemp("", "mesh-measure-"); err != nil {
		return err
	}
	for i, path := range []string{s.Mesh, s.Against} {
		if path == "" {
			continue
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if _, err := exec.LookPath(path); err != nil {
			return UsageError{fmt.Errorf("mesh binary: %w", err)}
		}
		m := Mesh{dir: filepath.Join(s.Dir, []string{"mesh", "against"}[i]), compared: i > 0}
		err = os.Mkdir(m.dir, 0o700)
		for _, tool := range []string{"cat", "hub", "recv", "tty"} {
			err = errors.Join(err, os.Symlink(path, filepath.Join(m.dir, "mesh-"+tool)))
		}
		if err != nil {
			return err
		}
		s.Binaries = append(s.Binaries, m)
	}
	return nil
}

// Tools returns the tool that open returns for each binary.
func (s *Settings) Tools(open func(Mesh) *Tool) (tools []*Tool) {
	for _, m := range s.Binaries {
		t := open(m)
		t.Family = "mesh"
		if m.compared {
			t.Name, t.Compared, tools[0].Against = "against: "+t.Name, true, t
		}
		tools = append(tools, t)
	}
	return tools
}

// Mesh is a mesh binary under test.
type Mesh struct {
	dir      string // has a link for each tool
	compared bool   // is the binary of --against
}

// Command returns a command line for a host of j: line, split at spaces, and
// args. The words of line may contain TOKEN, a file in Dir; PEER, the argument
// that names that file; EVENTS, a file in Dir for each host; and HOST, TREE and
// OUT for the fields of j.
func (m Mesh) Command(j Job, host, line string, args ...string) *exec.Cmd {
	token := filepath.Join(j.Dir, "token")
	names := strings.NewReplacer("PEER", "@"+token, "TOKEN", token, "EVENTS", j.events(host),
		"HOST", j.Addr, "TREE", j.Tree, "OUT", j.Out)
	words := strings.Fields(line)
	for i := range words {
		words[i] = names.Replace(words[i])
	}
	cmd := j.On(host, filepath.Join(m.dir, words[0]), append(words[1:], args...)...)
	cmd.Env = append(cmd.Environ(), "MESH_HOME="+filepath.Join(j.Home, host))
	return cmd
}

func (j Job) events(host string) string { return filepath.Join(j.Dir, "events-"+host) }

// Tool returns a pair of command lines, as Command reads them, as a tool. The
// receiver's line gets --listen and --token-file. A line with OUT is for the
// task file alone, one with TREE for the task files alone.
func (m Mesh) Tool(name, send, recv string) *Tool {
	t := &Tool{Name: name}
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
			Ready:  Exists(filepath.Join(j.Dir, "token")),
			Send:   m.Command(j, "a", send),
			Stores: stores, Walks: walks,
		}, nil
	}
	return t
}

// Terminal returns the two ends of a shared terminal: mesh-tty --share with the
// command of j, and a viewer with the flags and the PEER of view: PEER to view,
// PEER.control to type as well.
func (m Mesh) Terminal(j Job, view string) Ends {
	return Ends{
		Recv: m.Command(j, "b", "mesh-tty --share --headless --size 80x24 --control --token-file TOKEN --listen HOST:0 --",
			"sh", "-c", j.Shell),
		Ready: Exists(filepath.Join(j.Dir, "token.control")),
		Send:  m.Command(j, "a", "mesh-tty "+view),
	}
}

// Event is the part of a line of --events that the programs use.
type Event struct {
	Event  string
	Via    string
	BLAKE3 string
	Bytes  int64
}

// Events returns the whole lines of the file EVENTS of a host.
func (j Job) Events(host string) (events []Event) {
	text, _ := os.ReadFile(j.events(host))
	for line := range bytes.Lines(text) {
		var e Event
		if json.Unmarshal(line, &e) == nil {
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
