//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tool is one way to send a pipe to another process.
type tool struct {
	name string

	// setup makes keys and the like in a folder of the tool's own, once. Its
	// error says why the tool can't be measured here.
	setup func(ctx context.Context, dir string) error

	// open prepares one run.
	open func(run) (ends, error)

	bulk, small []result
	failed      error
}

// run is what a tool needs to know of one run.
type run struct {
	dir string // empty, and for this run only
	out string // where the data goes; also the receiver's stdout
}

// ends are the two ends of one run.
type ends struct {
	recv   *exec.Cmd
	ready  func() bool // whether recv can be called now
	send   func() *exec.Cmd
	daemon bool // recv stays and is stopped after the run
}

// available returns the tools that can be measured here, set up, and for the
// others the reason why not.
func available(ctx context.Context, dir, mesh string) (tools []*tool, missing []string) {
	for _, t := range []*tool{meshTool("mesh", mesh), meshTool("mesh --via quic", mesh, "--via", "quic"), sshTool(), socatTool(), ncTool()} {
		own := filepath.Join(dir, strings.Fields(t.name)[0])
		err := os.MkdirAll(own, 0o700)
		if err == nil {
			err = t.setup(ctx, own)
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", t.name, err))
			continue
		}
		tools = append(tools, t)
	}
	return tools, missing
}

// measure adds one run to results, unless t has failed before.
func (t *tool) measure(ctx context.Context, r *runner, limit time.Duration, size int64, results *[]result) {
	if t.failed != nil || ctx.Err() != nil {
		return
	}
	res, err := r.run(ctx, t, limit, size, os.DevNull)
	if err != nil {
		t.fail(fmt.Sprintf("%d bytes", size), err)
		return
	}
	*results = append(*results, res)
}

func (t *tool) fail(what string, err error) {
	t.failed = fmt.Errorf("%s: %s: %w", t.name, what, err)
	fmt.Fprintln(os.Stderr, "bench: error:", t.failed)
}

// meshTool is mesh-cat, with more arguments, into mesh-recv.
func meshTool(name, bin string, args ...string) *tool {
	t := &tool{name: name}
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
		return ends{
			recv: in(recv, filepath.Join(bin, "mesh-recv"), "--listen", "127.0.0.1:0", "--token-file", token),
			ready: func() bool {
				_, err := os.Stat(token)
				return err == nil
			},
			send: func() *exec.Cmd {
				return in(send, filepath.Join(bin, "mesh-cat"), append(slices.Clone(args), "@"+token)...)
			},
		}, nil
	}
	return t
}

// in is exec.Command with MESH_HOME set.
func in(home, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MESH_HOME="+home)
	return cmd
}

func sshTool() *tool {
	const cipher = "aes128-gcm@openssh.com"
	t := &tool{name: "ssh (aes128-gcm)"}
	var own, sshd, login string
	t.setup = func(ctx context.Context, dir string) error {
		own = dir
		if err := installed("ssh", "ssh-keygen"); err != nil {
			return err
		}
		var err error
		if sshd, err = exec.LookPath("sshd"); err != nil {
			// sshd wants to be called by its full path, and sbin is not in everyone's PATH.
			if sshd, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
				return errors.New("sshd is not installed")
			}
		}
		me, err := user.Current()
		if err != nil {
			return err
		}
		login = me.Username
		if me.Uid == "0" { // where Debian's sshd locks its unprivileged half in
			if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
				return err
			}
		}
		for _, key := range []string{"host", "user"} {
			err := output(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
			if err != nil {
				return err
			}
		}
		host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "known_hosts"), append([]byte("bench "), host...), 0o600)
	}
	t.open = func(r run) (ends, error) {
		port, err := freePort()
		if err != nil {
			return ends{}, err
		}
		config := filepath.Join(r.dir, "sshd_config")
		err = os.WriteFile(config, []byte(strings.Join([]string{
			"ListenAddress 127.0.0.1:" + port,
			"HostKey " + filepath.Join(own, "host"),
			"AuthorizedKeysFile " + filepath.Join(own, "user.pub"),
			"PidFile none", "UsePAM no", "UseDNS no", "StrictModes no", "LogLevel ERROR",
			"PermitRootLogin prohibit-password", "PasswordAuthentication no",
			"PrintMotd no", "PrintLastLog no", "Compression no", "Ciphers " + cipher,
			"SetEnv HOME=" + r.dir, "", // or the login shell's own start is measured too
		}, "\n")), 0o600)
		return ends{
			recv:   exec.Command(sshd, "-D", "-e", "-f", config),
			ready:  listening(port),
			daemon: true,
			send: func() *exec.Cmd {
				return exec.Command("ssh", "-F", "none", "-T", "-c", cipher, "-p", port, "-i", filepath.Join(own, "user"),
					"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "Compression=no",
					"-o", "HostKeyAlias=bench", "-o", "UserKnownHostsFile="+filepath.Join(own, "known_hosts"),
					login+"@127.0.0.1", "cat >"+r.out)
			},
		}, err
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
