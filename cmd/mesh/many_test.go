package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// tool is a command that runs the test binary under the tool's name, which makes
// it that tool: see [TestMain].
func tool(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{name}, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MESH_HOME="+filepath.Join(dir, "home"))
	return cmd
}

// descriptors counts the open files of a process; -1 where /proc is not there.
func descriptors(pid int) int {
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		return -1
	}
	return len(entries)
}

// TestManyTransfers sends through one mesh-listen -- cat, in a row and at once.
// Each comes back exact, and no descriptor is left over. MESH_TEST_TRANSFERS is
// how many there are in a row, 60 by default.
func TestManyTransfers(t *testing.T) {
	t.Parallel()
	row := 60
	if n, err := strconv.Atoi(os.Getenv("MESH_TEST_TRANSFERS")); err == nil {
		row = n
	}
	dir := t.TempDir()
	listen := tool(t, dir, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--", "cat")
	var stderr bytes.Buffer
	listen.Stderr = &stderr
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = listen.Process.Signal(os.Interrupt)
		_ = listen.Wait()
		if stderr.Len() > 0 {
			t.Errorf("mesh-listen said %s", stderr.Bytes())
		}
	}()
	await(t, filepath.Join(dir, "tok"))
	send := func(size int) {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		cmd := tool(t, dir, "mesh-cat", "@tok")
		cmd.Stdin = bytes.NewReader(data)
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d bytes back (%v), want the same", size, len(got), err)
		}
	}
	send(1)
	before := descriptors(listen.Process.Pid)
	for i := range row {
		send(i * 997)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { send(i * 9973) })
	}
	wg.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; descriptors(listen.Process.Pid) > before; i++ {
		if i == 4000 {
			t.Fatalf("got %d open files, want the %d that there were", descriptors(listen.Process.Pid), before)
		}
		<-tick.C
	}
}
