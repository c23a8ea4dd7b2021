//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tool is one way to send a pipe or a folder to another process.
type tool struct {
	name string
	task string // the only task that it does; empty: all

	// setup makes keys and the like in a folder of the tool's own, once. Its
	// error says why the tool can't be measured here.
	setup func(ctx context.Context, dir string) error

	// open prepares one run.
	open func(run) (ends, error)

	results map[string][]result // by task
	failed  error
}

// run is what a tool needs to know of one run.
type run struct {
	dir  string // empty, and for this run only
	out  string // where the data goes: /dev/null, a file, or with tree a folder
	tree string // the folder to send, or empty
}

// ends are the two ends of one run.
type ends struct {
	recv   *exec.Cmd
	ready  func() bool // whether recv can be called now
	send   func() *exec.Cmd
	daemon bool // recv stays and is stopped after the run
	stores bool // recv's side writes run.out; else its stdout goes there
	walks  bool // send reads run.tree; else tar does, into its stdin
}

// available returns the tools that can be measured here, set up, and for the
// others the reason why not.
func available(ctx context.Context, dir, mesh string) (tools []*tool, missing []string) {
	ssh := &sshServer{}
	for _, t := range []*tool{
		meshTool("mesh", mesh, "mesh-cat PEER", "mesh-recv"),
		meshTool("mesh --via quic", mesh, "mesh-cat --via quic PEER", "mesh-recv"),
		meshTool("mesh-recv -o", mesh, "mesh-cat PEER", "mesh-recv -o OUT"),
		meshTool("mesh-cat DIR", mesh, "mesh-cat PEER TREE", "mesh-recv -C OUT"),
		sshTool(ssh), rsyncTool(ssh), scpTool(ssh), socatTool(), ncTool(),
	} {
		own := filepath.Join(dir, strings.Fields(t.name)[0])
		err := os.MkdirAll(own, 0o700)
		if err == nil {
			err = t.setup(ctx, own)
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", t.name, err))
			continue
		}
		t.results = map[string][]result{}
		tools = append(tools, t)
	}
	return tools, missing
}

// does tells whether t takes part in k.
func (t *tool) does(k task) bool { return t.task == "" || t.task == k.name }

// measure lets t do k once and keeps the result, unless t has failed before.
// A check leaves no result.
func (t *tool) measure(ctx context.Context, r *runner, k task) {
	if t.failed != nil || !t.does(k) || ctx.Err() != nil {
		return
	}
	res, err := r.run(ctx, t, k)
	switch {
	case err != nil:
		t.failed = fmt.Errorf("%s: %s: %w", t.name, k.title, err)
		fmt.Fprintln(os.Stderr, "bench: error:", t.failed)
		delete(t.results, k.name) // a median of fewer runs is none
	case k.check == nil:
		t.results[k.name] = append(t.results[k.name], res)
	}
}

// meshTool is a pair of command lines, in which PEER, TREE and OUT stand for
// the token, the folder to send and where the data goes. One that names OUT
// does the task file alone, one that names TREE the task files alone.
func meshTool(name, bin, sendLine, recvLine string) *tool {
	t := &tool{name: name}
	stores, walks := strings.Contains(recvLine, "OUT"), strings.Contains(sendLine, "TREE")
	switch {
	case walks:
		t.task = "files"
	case stores:
		t.task = "file"
	}
	var send, recv string // MESH_HOME of each end
	t.setup = func(_ context.Context, dir string) error {
		if bin == "" {
			return errors.New("not built")
		}
		send, recv = filepath.Join(dir, "send"), filepath.Join(dir, "recv")
		return errors.Join(os.MkdirAll(send, 0o700), os.MkdirAll(recv, 0o700))
	}
	t.open = func(r run) (ends, error) {
		token := filepath.Join(r.dir, "token")
		command := func(home, line string) *exec.Cmd {
			words := strings.Fields(line)
			for i, word := range words {
				words[i] = strings.NewReplacer("PEER", "@"+token, "TOKEN", token, "TREE", r.tree, "OUT", r.out).Replace(word)
			}
			cmd := exec.Command(filepath.Join(bin, words[0]), words[1:]...)
			cmd.Env = append(os.Environ(), "MESH_HOME="+home)
			return cmd
		}
		return ends{
			recv: command(recv, recvLine+" --listen 127.0.0.1:0 --token-file TOKEN"),
			ready: func() bool {
				_, err := os.Stat(token)
				return err == nil
			},
			send:   func() *exec.Cmd { return command(send, sendLine) },
			stores: stores,
			walks:  walks,
		}, nil
	}
	return t
}

func socatTool() *tool {
	t := &tool{name: "socat (TLS 1.3)"}
	var cert, key string
	t.setup = func(ctx context.Context, dir string) error {
		if err := installed("socat", "openssl"); err != nil {
			return err
		}
		cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		return output(ctx, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
			"-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", cert, "-keyout", key)
	}
	t.open = func(r run) (ends, error) {
		const options = ",openssl-min-proto-version=TLS1.3"
		port, err := freePort()
		return ends{
			recv: exec.Command("socat", "-u", "-b131072",
				"OPENSSL-LISTEN:"+port+",bind=127.0.0.1,verify=0,cert="+cert+",key="+key+options, "STDOUT"),
			ready: listening(port),
			send: func() *exec.Cmd {
				return exec.Command("socat", "-u", "-b131072", "STDIN",
					"OPENSSL:127.0.0.1:"+port+",commonname=localhost,cafile="+cert+options)
			},
		}, err
	}
	return t
}

func ncTool() *tool {
	t := &tool{name: "nc (plain TCP)"}
	t.setup = func(ctx context.Context, _ string) error {
		if err := installed("nc"); err != nil {
			return err
		}
		help, _ := exec.CommandContext(ctx, "nc", "-h").CombinedOutput()
		if !strings.HasPrefix(string(help), "OpenBSD") {
			return errors.New("only OpenBSD's nc is known here")
		}
		return nil
	}
	t.open = func(run) (ends, error) {
		port, err := freePort()
		return ends{
			recv:  exec.Command("nc", "-d", "-l", "127.0.0.1", port),
			ready: listening(port),
			send:  func() *exec.Cmd { return exec.Command("nc", "-N", "127.0.0.1", port) },
		}, err
	}
	return t
}

// installed returns an error that names the first of names that is missing.
func installed(names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed", name)
		}
	}
	return nil
}

// output runs a command whose output is wanted only if it fails.
func output(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// freePort returns a TCP port of the loopback address that was free just now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// listening tells whether someone listens on a TCP port, without calling
// there: Linux's /proc knows. Elsewhere it is a guess, 300 ms.
func listening(port string) func() bool {
	begin := time.Now()
	n, _ := strconv.ParseUint(port, 10, 16)
	local := fmt.Sprintf("0100007F:%04X 00000000:0000 0A ", n)
	return func() bool {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return time.Since(begin) > 300*time.Millisecond
		}
		return strings.Contains(string(table), local)
	}
}
