package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mesh/proto"
)

// TestKilled ends one end with SIGKILL at a random point. The other must end
// with a code that says so, and FILE must be absent, or exact after a success.
// MESH_TEST_KILLS is how many runs there are, 8 by default.
func TestKilled(t *testing.T) {
	t.Parallel()
	runs := 8
	if n, err := strconv.Atoi(os.Getenv("MESH_TEST_KILLS")); err == nil {
		runs = n
	}
	data := make([]byte, 24<<20)
	_, _ = rand.Read(data)
	for i := range runs {
		t.Run(fmt.Sprint(i), func(t *testing.T) { killed(t, data, i) })
	}
}

func killed(t *testing.T, data []byte, run int) {
	r := mathrand.New(mathrand.NewPCG(2, uint64(run)))
	dir := t.TempDir()
	recv := tool(t, dir, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok", "-o", "file", "--wait", "5s")
	if err := recv.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, filepath.Join(dir, "tok"))
	cat := tool(t, dir, "mesh-cat", "@tok")
	cat.Stdin = bytes.NewReader(data)
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	victim, other := recv, cat
	if run%2 == 0 {
		victim, other = cat, recv
	}
	<-time.After(time.Duration(r.IntN(250)) * time.Millisecond)
	_ = victim.Process.Kill()
	_, _ = victim.Wait(), other.Wait() // the state says it all
	code := proto.Code(other.ProcessState.ExitCode())
	got, err := os.ReadFile(filepath.Join(dir, "file"))
	switch {
	case err == nil && !bytes.Equal(got, data):
		t.Errorf("FILE has %d bytes, want none or exactly the %d", len(got), len(data))
	case code == proto.OK && err != nil:
		t.Errorf("%s ended with 0, and FILE is not there", other.Args[0])
	case code != proto.OK && code != proto.Timeout && code != proto.Truncated && code != proto.Unreachable:
		t.Errorf("%s ended with %v, want timeout or truncated", other.Args[0], code)
	}
}

// await waits for a file that is not empty.
func await(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s did not come", path)
}
