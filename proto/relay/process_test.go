//go:build linux

package relay_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/tcp"
	"mesh/proto/xtest"
)

// relayEnv tells a test process to be a relay. It has a [config].
const relayEnv = "MESH_TEST_RELAY"

// config is what a relay in a process of its own is told. With Sessions its limits are its
// own, else a test may join as often as it likes.
type config struct {
	Hub      identity.ID
	Rate     uint64
	Sessions int
}

// report is what it answers: first where it is, and then what it uses.
type report struct {
	Plain, Web string
	Cert       string
	CPU        time.Duration // user and system time
	Memory     uint64        // of the heap and the stacks, in bytes
	Resident   uint64        // of the process, in bytes
}

// TestRelayProcess is the relay in a process of its own. It reports once for each line of
// its standard input and ends with it.
func TestRelayProcess(t *testing.T) {
	if os.Getenv(relayEnv) == "" {
		t.Skip("run by other tests")
	}
	var c config
	if err := json.Unmarshal([]byte(os.Getenv(relayEnv)), &c); err != nil {
		t.Fatal(err)
	}
	s := relay.NewServer(relay.Options{Hub: c.Hub, Name: relayName, Rate: c.Rate, Sessions: c.Sessions})
	if c.Sessions == 0 {
		relay.SetLimits(s, relay.Limits{SourceBurst: 1 << 20, SessionBurst: 1 << 20, OfDialer: 1 << 20})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServePlain(c)
		}
	}()
	srv := httptest.NewTLSServer(http.HandlerFunc(s.ServeWebSocket))
	r := report{
		Plain: "tcp://" + l.Addr().String(), Web: "wss" + strings.TrimPrefix(srv.URL, "https") + relay.PathWebSocket,
		Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})),
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); ; {
		_ = out.Encode(r)
		if !in.Scan() {
			os.Exit(0)
		}
		r.CPU, r.Memory = usage()
		r.Resident = resident()
	}
}

func usage() (cpu time.Duration, memory uint64) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), m.HeapAlloc + m.StackInuse
}

// resident returns the resident memory of this process, in bytes.
func resident() uint64 {
	text, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseUint(fields[1], 10, 64)
		return pages * uint64(os.Getpagesize())
	}
	return 0
}

// process is a relay in a process of its own, and the nodes that join it.
type process struct {
	*rig
	report
	conf *tls.Config
	ask  func() report
}

// startProcess starts one, under the command before if that is not empty.
func startProcess(t testing.TB, c config, before ...string) *process {
	t.Helper()
	p := &process{rig: &rig{t: t, hub: newKey(t), dialer: newKey(t), listener: newKey(t), from: "127.0.0.1"}}
	c.Hub = p.hub.ID()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	args := append(before, os.Args[0], "-test.run=^TestRelayProcess$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), relayEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	answers := json.NewDecoder(out)
	if err := answers.Decode(&p.report); err != nil {
		t.Fatal(err)
	}
	p.ask = func() (r report) {
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	p.addr = strings.TrimPrefix(p.Plain, "tcp://")
	p.conf = &tls.Config{RootCAs: x509.NewCertPool()}
	p.conf.RootCAs.AppendCertsFromPEM([]byte(p.Cert))
	return p
}

// join joins two ends by one door.
func (p *process) join(session byte, door string) (dialer, listener net.Conn) {
	p.t.Helper()
	url := map[string]string{relay.DoorTCP: p.Plain, relay.DoorWSS: p.Web}[door]
	waits, joined := make(chan relay.Status, 9), make(chan *relay.Conn, 1)
	join := func(role relay.Role, told func(relay.Status)) *relay.Conn {
		c := &relay.Client{Key: p.key(role), TLS: p.conf}
		conn, err := c.Join(p.t.Context(), []relay.Entry{{URL: url, Permit: p.permit(session, role, nil)}}, told)
		if err != nil {
			p.t.Error(err)
		}
		return conn
	}
	go func() { joined <- join(relay.RoleListener, func(s relay.Status) { waits <- s }) }()
	want(p.t, waits, relay.Waiting)
	d := join(relay.RoleDialer, nil)
	l := <-joined
	if d == nil || l == nil {
		p.t.FailNow()
	}
	p.t.Cleanup(func() { d.Close(); l.Close() })
	return d, l
}

// Between two plain doors the kernel moves the bytes, with and without a rate: the relay
// does not read them.
func TestSplice(t *testing.T) {
	t.Parallel()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("no strace, which shows system calls: %v", err)
	}
	for what, rate := range map[string]uint64{"no rate": 0, "rate": 1 << 30} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			trace := filepath.Join(t.TempDir(), "trace")
			const size = 4<<20 + 1
			t.Run("move", func(t *testing.T) {
				p := startProcess(t, config{Rate: rate}, "strace", "-f", "-qq", "-e", "trace=splice,read,write,recvfrom,sendto,sendfile", "-o", trace)
				d, l := p.join(1, relay.DoorTCP)
				send(t, d, l, xtest.Random(size))
				send(t, l, d, xtest.Random(size))
			}) // its end ends the process
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			moved := make(map[string]int)
			for _, m := range regexp.MustCompile(`(?m)(?:^\d+ +|<\.\.\. )(\w+)[( ].* = (\d+)$`).FindAllStringSubmatch(string(text), -1) {
				n, _ := strconv.Atoi(m[2])
				moved[m[1]] += n
			}
			if moved["splice"] < 4*size { // in and out, of two directions
				t.Errorf("splice moved %d bytes, want %d", moved["splice"], 4*size)
			}
			for _, call := range []string{"read", "write", "recvfrom", "sendto", "sendfile"} {
				if moved[call] > 256<<10 {
					t.Errorf("%s moved %d bytes of %d", call, moved[call], 2*size)
				}
			}
		})
	}
}

// What waits or idles at a relay costs little memory.
func TestMemory(t *testing.T) {
	for _, tt := range []struct {
		what string
		max  uint64 // bytes for each
		add  func(p *process, i int)
	}{
		{"places", 8 << 10, func(p *process, i int) {
			p.place(byte(i+1), relay.RoleListener, relay.Waiting)
		}},
		{"plain pairs", 32 << 10, func(p *process, i int) {
			d, l := p.rig.pair(byte(i + 1))
			send(p.t, d, l, make([]byte, 1<<20))
		}},
		{"WebSocket pairs", 320 << 10, func(p *process, i int) {
			d, l := p.join(byte(i+1), relay.DoorWSS)
			send(p.t, d, l, make([]byte, 1<<20))
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			const n = 200
			p := startProcess(t, config{})
			tt.add(p, n) // what is made once
			before := p.ask().Memory
			for i := range n {
				tt.add(p, i)
			}
			each := (p.ask().Memory - before) / n
			t.Logf("%d bytes for each", each)
			if each > tt.max {
				t.Errorf("%s: %d bytes for each, want %d at most", tt.what, each, tt.max)
			}
		})
	}
}

// BenchmarkRelay moves what a link moves: over TCP directly, and by each door. Relay is
// the processor time of the relay's process.
func BenchmarkRelay(b *testing.B) {
	for _, door := range []string{"direct", relay.DoorTCP, relay.DoorWSS} {
		b.Run(door, func(b *testing.B) {
			var p *process
			var d, l net.Conn
			if door == "direct" {
				d, l = directly(b)
			} else {
				p = startProcess(b, config{})
				d, l = p.join(1, door)
			}
			from, to := secure(b, d, l)
			b.Run("bulk", func(b *testing.B) {
				before := p.cpu()
				b.SetBytes(1 << 20)
				go func() {
					data := xtest.Random(256 << 10)
					for range 4 * b.N {
						if err := from.Send(data); err != nil {
							b.Error(err)
							return
						}
					}
				}()
				buf := make([]byte, 256<<10)
				for left := b.N << 20; left > 0; {
					n, err := to.Read(buf[:min(left, len(buf))])
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
				if p != nil {
					b.ReportMetric((p.cpu()-before).Seconds()*1024/float64(b.N), "relay-s/GiB")
				}
			})
			b.Run("ping", func(b *testing.B) {
				go func() { // the other end says the same
					buf := make([]byte, 64)
					for range b.N {
						if _, err := io.ReadFull(to, buf); err != nil {
							return
						}
						_ = to.Send(buf)
					}
				}()
				buf := make([]byte, 64)
				for range b.N {
					if err := from.Send(buf); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(from, buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func (p *process) cpu() time.Duration {
	if p == nil {
		return 0
	}
	return p.ask().CPU
}

// directly returns two ends of a TCP connection.
func directly(t testing.TB) (d, l net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if d, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if l, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); l.Close() })
	return d, l
}

// secure makes the connections of a link of two ends.
func secure(t testing.TB, d, l net.Conn) (from, to *tcp.Conn) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	served := make(chan error, 1)
	go func() {
		var err error
		to, err = tcp.Server(context.Background(), l, &tls.Config{Certificates: srv.TLS.Certificates})
		served <- err
	}()
	from, err := tcp.Client(context.Background(), d, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err := fmt.Errorf("%w%w", err, <-served); from == nil || to == nil {
		t.Fatal(err)
	}
	from.SetAuthenticated()
	to.SetAuthenticated()
	return from, to
}
