package udp_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto/udp"
)

// benchRole makes the test binary one end of a transfer: both ends on one
// machine share its cores as two programs do, each with its own GOMAXPROCS.
const benchRole = "MESH_UDP_BENCH_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(benchRole)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := benchEnd(role); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

// BenchmarkTransfer sends one stream over loopback between two processes and
// reports, beside the rate, the processor time of each end. Compare in one run
// only. Set MESH_UDP_BENCH_MIB for another size than 256 MiB.
func BenchmarkTransfer(b *testing.B) {
	size := int64(256)
	if s, err := strconv.ParseInt(os.Getenv("MESH_UDP_BENCH_MIB"), 10, 64); err == nil {
		size = s
	}
	size <<= 20
	for _, procs := range []string{"1", "2"} {
		for _, kind := range []string{"plain", "gro", "gro+yield", "yield"} {
			b.Run("procs="+procs+"/"+kind, func(b *testing.B) { benchTransfer(b, procs, kind, size) })
		}
	}
}

func benchTransfer(b *testing.B, procs, kind string, size int64) {
	var rate, sendCPU, recvCPU, lost float64
	n := 0
	for b.Loop() {
		env := append(os.Environ(), "GOMAXPROCS="+procs, "MESH_UDP_BENCH_KIND="+kind,
			"MESH_UDP_BENCH_SIZE="+strconv.FormatInt(size, 10), "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=1")
		recv := exec.CommandContext(b.Context(), os.Args[0])
		recv.Env, recv.Stderr = append(env, benchRole+"=recv"), os.Stderr
		out, err := recv.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := recv.Start(); err != nil {
			b.Fatal(err)
		}
		r := bufio.NewReader(out)
		addr, _ := r.ReadString('\n')
		send := exec.CommandContext(b.Context(), os.Args[0])
		send.Env, send.Stderr = append(env, benchRole+"=send", "MESH_UDP_BENCH_ADDR="+strings.TrimSpace(addr)), os.Stderr
		said, err := send.Output()
		if err != nil {
			b.Fatal("send:", err)
		}
		var seconds, gone float64
		fmt.Fscan(r, &seconds)
		fmt.Sscan(string(said), &gone)
		if err := recv.Wait(); err != nil {
			b.Fatal("recv:", err)
		}
		cpu := func(p *os.ProcessState) float64 {
			return (p.UserTime() + p.SystemTime()).Seconds() / (float64(size) / 1e9)
		}
		rate += float64(size) / 1e6 / seconds
		sendCPU += cpu(send.ProcessState)
		recvCPU += cpu(recv.ProcessState)
		lost += gone
		n++
	}
	b.ReportMetric(rate/float64(n), "MB/s")
	b.ReportMetric(sendCPU/float64(n), "snd-cpu-s/GB")
	b.ReportMetric(recvCPU/float64(n), "rcv-cpu-s/GB")
	b.ReportMetric(lost/float64(n), "lost-packets")
	b.ReportMetric(0, "ns/op")
}

func benchEnd(role string) error {
	pc, err := benchConn(os.Getenv("MESH_UDP_BENCH_KIND"))
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(os.Getenv("MESH_UDP_BENCH_SIZE"), 10, 64)
	if err != nil {
		return err
	}
	tr := &quic.Transport{Conn: pc}
	defer tr.Close()
	if role == "recv" {
		return benchRecv(tr, size)
	}
	return benchSend(tr, size, os.Getenv("MESH_UDP_BENCH_ADDR"))
}

func benchConn(kind string) (net.PacketConn, error) {
	if kind == "plain" {
		return net.ListenPacket("udp", "127.0.0.1:0")
	}
	c, err := udp.Listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(kind, "gro") {
		udp.DisableGRO(c)
	}
	if !strings.Contains(kind, "yield") {
		udp.SetYield(c, 1<<30)
	}
	return c, nil
}

func benchRecv(tr *quic.Transport, size int64) error {
	ctx := context.Background()
	server, _ := tlsConfigs()
	ln, err := tr.Listen(server, quicConfig())
	if err != nil {
		return err
	}
	fmt.Println(tr.Conn.LocalAddr())
	conn, err := ln.Accept(ctx)
	if err != nil {
		return err
	}
	s, err := conn.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s}, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	if got != size {
		return fmt.Errorf("got %d bytes, want %d", got, size)
	}
	fmt.Println(time.Since(start).Seconds())
	return conn.CloseWithError(0, "")
}

func benchSend(tr *quic.Transport, size int64, addr string) error {
	ctx := context.Background()
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return err
	}
	_, client := tlsConfigs()
	conn, err := tr.Dial(ctx, to, client, quicConfig())
	if err != nil {
		return err
	}
	s, err := conn.OpenUniStream()
	if err != nil {
		return err
	}
	block := make([]byte, 256<<10)
	rand.Read(block)
	for left := size; left > 0; {
		n, err := s.Write(block[:min(left, int64(len(block)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	if err := s.Close(); err != nil {
		return err
	}
	<-conn.Context().Done() // the receiver closes when it has all
	fmt.Println(conn.ConnectionStats().PacketsLost)
	return nil
}
