//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"mesh/pipe/digest"
	"mesh/proto"
)

// torture says how much these tests do. With TORTURE=full, which scripts/torture sets,
// it is what the project promises; else it is a part that takes seconds. TORTURE_RUNS
// and TORTURE_BYTES set the number of kills and the size of the large transfer.
func torture(t *testing.T, variable string, short, normal, full int64) int64 {
	t.Helper()
	if n, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil {
		return n
	}
	switch {
	case os.Getenv("TORTURE") == "full":
		return full
	case testing.Short(), raceDetector:
		return short
	}
	return normal
}

// echo starts mesh-listen -- cat. It returns a function that sends bytes through it and
// expects them back.
func echo(t *testing.T) (listen *aTool, send func(data []byte, flags ...string)) {
	t.Helper()
	dir := t.TempDir()
	listen = begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat")
	await(t, filepath.Join(dir, "tok"))
	return listen, func(data []byte, flags ...string) {
		var got bytes.Buffer
		cat := begin(t, dir, func(c *exec.Cmd) { c.Stdin, c.Stdout = bytes.NewReader(data), &got }, "mesh-cat", append(flags, "@tok")...)
		if code := cat.code(t); code != proto.OK || !bytes.Equal(got.Bytes(), data) || cat.stderr.Len() > 0 {
			t.Errorf("%d bytes: mesh-cat ended with %v (%s) and gave %d bytes, want the same", len(data), code, cat.stderr.Bytes(), got.Len())
		}
	}
}

// TestTransfers sends many transfers through one mesh-listen -- cat, one by one and at
// once. Each must come back exact, and the listener must release its descriptors and goroutines.
func TestTransfers(t *testing.T) {
	t.Parallel()
	row := int(torture(t, "TORTURE_TRANSFERS", 50, 200, 1000))
	random := mathrand.NewChaCha8([32]byte{1})
	data := make([]byte, 512<<10)
	_, _ = random.Read(data)
	sizes := []int{0, 1, proto.MaxChunkBytes - 1, proto.MaxChunkBytes, proto.MaxChunkBytes + 1}

	listen, send := echo(t)
	send(data)
	before := descriptors(listen)
	began := time.Now()
	for i := range row {
		size := i * 97
		if i%10 < len(sizes) {
			size = sizes[i%10]
		}
		send(data[:size])
	}
	t.Logf("torture: %d transfers in a row through one mesh-listen: each exact; %v each", row, (time.Since(began) / time.Duration(row)).Round(100*time.Microsecond))
	began = time.Now()
	var wg sync.WaitGroup
	const once = 50
	for i := range once {
		// A machine that begins fifty at once may need more than the time for one handshake.
		wg.Go(func() { send(data[:i*9973], "--wait", "1m") })
	}
	wg.Wait()
	t.Logf("torture: %d transfers at once: each exact; %v in all", once, time.Since(began).Round(time.Millisecond))
	if t.Failed() {
		return
	}
	poll(t, fmt.Sprintf("%d open files", before), func() bool { return descriptors(listen) <= before })
	after, peak := descriptors(listen), procStatus(listen, "VmHWM")
	// A late duplicate of a packet may have started a handshake that no dialer
	// continues. It times out.
	<-time.After(proto.HelloTimeout + time.Second)
	fresh, once1 := echo(t)
	once1(data)
	want := goroutines(fresh)
	// A few may still be ending. A leak would leave one for each transfer.
	if got := goroutines(listen); got > want+10 {
		t.Errorf("got %d goroutines, want the %d of a listener that has served one peer:\n%s", got, want, listen.stderr.Bytes())
	} else {
		t.Logf("torture: afterwards: %d open files, %d before; %d goroutines, %d after one transfer; peak memory %d MiB", after, before, got, want, peak>>10)
	}
}

// fedFrom makes a pipe and gives its reading end to the command as standard input. Call
// started when the command has started.
func fedFrom(t *testing.T) (w *os.File, stdin func(*exec.Cmd), started func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w, func(c *exec.Cmd) { c.Stdin = r }, func() { r.Close() }
}

// TestKilled kills the sender, the receiver or the producing command with SIGKILL at a
// random point. The others must end with a matching code. FILE must be absent, or exact
// after a success.
func TestKilled(t *testing.T) {
	t.Parallel()
	runs := int(torture(t, "TORTURE_RUNS", 6, 21, 201))
	data := make([]byte, 24<<20)
	_, _ = mathrand.NewChaCha8([32]byte{2}).Read(data)
	var mu sync.Mutex
	codes, slowest := map[string]int{}, time.Duration(0)
	t.Run("group", func(t *testing.T) {
		for i := range runs {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				victim := []string{"sender", "receiver", "producer"}[i%3]
				code, took := killed(t, data, victim, mathrand.New(mathrand.NewPCG(3, uint64(i))))
				mu.Lock()
				defer mu.Unlock()
				codes[fmt.Sprintf("%s killed, other end %d", victim, code)]++
				slowest = max(slowest, took)
			})
		}
	})
	t.Logf("torture: %d kill -9: FILE absent or exact each time; noticed in %v at most; %v", runs, slowest.Round(time.Millisecond), codes)
}

func killed(t *testing.T, data []byte, victim string, r *mathrand.Rand) (proto.Code, time.Duration) {
	dir := t.TempDir()
	recv := begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "-o", "file")
	await(t, filepath.Join(dir, "tok"))
	feed, stdin, started := fedFrom(t)
	args := []string{"@tok"}
	if victim == "producer" {
		args = append(args, "--", "sh", "-c", "echo $$ >pid.new; mv pid.new pid; exec cat")
	}
	cat := begin(t, dir, stdin, "mesh-cat", args...)
	started()

	// The kill comes after so many bytes were written to the sender. They are more
	// than a pipe holds and than the sender reads before it has a link, so it must have
	// one. One kill in four comes at the very end.
	const linked = 3 << 19
	point := linked + r.IntN(len(data)-linked)
	if r.IntN(4) == 0 {
		point = len(data)
	}
	if err := feed.SetWriteDeadline(time.Now().Add(waitLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := feed.Write(data[:point]); err != nil {
		t.Fatal(err)
	}
	rest := make(chan struct{}) // closed when the rest is fed, or nobody takes it
	defer func() { <-rest }()
	feedRest := func() {
		go func() {
			defer close(rest)
			_, _ = feed.Write(data[point:])
			feed.Close()
		}()
	}
	if victim != "producer" { // which must not end by itself
		feedRest()
	}
	<-time.After(time.Duration(r.IntN(20_000)) * time.Microsecond)

	var other *aTool
	began := time.Now()
	switch victim {
	case "sender":
		_ = cat.Process.Kill()
		other = recv
	case "receiver":
		_ = recv.Process.Kill()
		other = cat
	case "producer":
		await(t, filepath.Join(dir, "pid"))
		text, _ := os.ReadFile(filepath.Join(dir, "pid"))
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL) // its own number: its input has not ended
		feedRest()
		other = recv
	}
	code := other.code(t)
	took := time.Since(began)
	got, err := os.ReadFile(filepath.Join(dir, "file"))
	switch {
	case err == nil && !bytes.Equal(got, data):
		t.Errorf("%s killed: FILE has %d bytes, want none or exactly the %d", victim, len(got), len(data))
	case code == proto.OK && err != nil:
		t.Errorf("%s killed: %s ended with 0, and FILE is not there", victim, other.Args[0])
	case victim == "producer" && code != proto.Producer,
		victim != "producer" && code != proto.OK && code != proto.Timeout && code != proto.Truncated:
		t.Errorf("%s killed: %s ended with %v: %s", victim, other.Args[0], code, other.stderr.Bytes())
	}
	if victim == "producer" && cat.code(t) != code {
		t.Errorf("%s killed: the ends ended with %v and %v", victim, cat.code(t), code)
	}
	parts, _ := filepath.Glob(filepath.Join(dir, ".mesh-*"))
	if other == recv && len(parts) > 0 {
		t.Errorf("%s killed: mesh-recv left %v", victim, parts)
	}
	return code, took
}

// endless is reproducible data. r returns size bytes of it.
func endless(size int64) io.Reader {
	block := make([]byte, 1<<20)
	_, _ = mathrand.NewChaCha8([32]byte{4}).Read(block)
	return io.LimitReader(&repeating{block: block}, size)
}

type repeating struct {
	block []byte
	at    int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	if r.at += n; r.at == len(r.block) {
		r.at = 0
		r.block[0]++ // no two blocks are the same for long
		r.block[1] += r.block[0]
	}
	return n, nil
}

// TestLarge sends much more than fits into memory, to a consumer that reads nothing at
// first. The data must arrive exact, both ends must report that, and neither may need
// more than 64 MiB.
func TestLarge(t *testing.T) {
	t.Parallel()
	size := torture(t, "TORTURE_BYTES", 64<<20, 256<<20, 3<<30)
	dir := t.TempDir()
	arrives, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer arrives.Close()
	recv := begin(t, dir, func(c *exec.Cmd) { c.Stdout = stdout }, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "--events", "recv.ev")
	stdout.Close()
	await(t, filepath.Join(dir, "tok"))
	feed, stdin, started := fedFrom(t)
	cat := begin(t, dir, stdin, "mesh-cat", "--events", "cat.ev", "@tok")
	started()

	sent := blake3.New()
	var fed atomic.Int64
	feeding := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(feed, sent, counter{&fed})}, endless(size), make([]byte, 256<<10))
		feeding <- err
	}()
	last, same := int64(0), 0
	poll(t, "the sender takes no more", func() bool {
		now := fed.Load()
		if same++; now == 0 || now != last {
			last, same = now, 0
		}
		return same == 40
	})
	t.Logf("torture: a consumer that takes nothing holds the sender up after %d MiB", last>>20)

	began := time.Now()
	got := blake3.New()
	if n, err := io.CopyBuffer(struct{ io.Writer }{got}, io.LimitReader(arrives, size), make([]byte, 256<<10)); err != nil || n != size {
		t.Fatalf("got %d bytes (%v), want %d: %s", n, err, size, recv.stderr.Bytes())
	}
	took := time.Since(began)
	if err := <-feeding; err != nil {
		t.Fatal(err)
	}
	catPeak, recvPeak := procStatus(cat, "VmHWM"), procStatus(recv, "VmHWM")
	feed.Close()
	if n, err := io.Copy(io.Discard, arrives); n != 0 || err != nil {
		t.Errorf("got %d more bytes (%v), want no more", n, err)
	}
	if c, r := cat.code(t), recv.code(t); c != proto.OK || r != proto.OK {
		t.Errorf("the ends ended with %v (%s) and %v (%s)", c, cat.stderr.Bytes(), r, recv.stderr.Bytes())
	}
	want := digest.Digest(sent.Sum(nil)).String()
	for what, digest := range map[string]string{
		"what arrived": digest.Digest(got.Sum(nil)).String(),
		"mesh-cat":     receipt(t, filepath.Join(dir, "cat.ev")),
		"mesh-recv":    receipt(t, filepath.Join(dir, "recv.ev")),
	} {
		if digest != want {
			t.Errorf("%s: got digest %s, want %s", what, digest, want)
		}
	}
	const limit = 64 << 10 // KiB
	if !raceDetector && (catPeak > limit || recvPeak > limit) {
		t.Errorf("peak memory: got %d and %d KiB, want at most %d", catPeak, recvPeak, limit)
	}
	t.Logf("torture: %d MiB: digests equal; %.1f s, %.0f MiB/s; peak memory: mesh-cat %.1f MiB, mesh-recv %.1f MiB",
		size>>20, took.Seconds(), float64(size>>20)/took.Seconds(), float64(catPeak)/1024, float64(recvPeak)/1024)
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// receipt returns the digest of the receipt in a file that --events wrote.
func receipt(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e struct{ Event, BLAKE3 string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "receipt" {
			return e.BLAKE3
		}
	}
	return ""
}

// TestTree sends a real folder, with tar at both ends.
func TestTree(t *testing.T) {
	t.Parallel()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command, whose source this test would send")
	}
	from, part := filepath.Join(strings.TrimSpace(string(goroot)), "src"), "net"
	if os.Getenv("TORTURE") == "full" {
		part = "."
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "to"), 0o777); err != nil {
		t.Fatal(err)
	}
	recv := begin(t, dir, nil, "bash", "-c", "set -o pipefail; mesh-recv --listen 127.0.0.1:0 --token-file tok | tar xf - -C to")
	await(t, filepath.Join(dir, "tok"))
	began := time.Now()
	cat := begin(t, dir, nil, "bash", "-c", `set -o pipefail; tar cf - -C "$0" "$1" | mesh-cat @tok`, from, part)
	if c, r := cat.code(t), recv.code(t); c != proto.OK || r != proto.OK || cat.stderr.Len()+recv.stderr.Len() > 0 {
		t.Fatalf("the ends ended with %v (%s) and %v (%s)", c, cat.stderr.Bytes(), r, recv.stderr.Bytes())
	}
	took := time.Since(began)
	diff, err := exec.Command("diff", "-r", filepath.Join(from, part), filepath.Join(dir, "to", part)).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no diff command")
	}
	if err != nil || len(diff) > 0 {
		t.Fatalf("diff -r: %v: %s", err, diff)
	}
	files := 0
	err = filepath.WalkDir(filepath.Join(dir, "to"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("got %d files (%v)", files, err)
	}
	t.Logf("torture: tar of %s, %d files: diff -r is empty; %.1f s", filepath.Join("GOROOT/src", part), files, took.Seconds())
}
