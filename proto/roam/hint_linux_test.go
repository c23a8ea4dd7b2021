package roam_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mesh/proto/roam"
)

const endOfWatch = "MESH_ROAM_END"

// The kernel's word of each change is heard: an address, a route, an interface that goes.
func TestKernel(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "-n", exe, "-test.run=^TestWatchEnd$", "-test.count=1")
	c.Env = append(os.Environ(), endOfWatch+"=1")
	out, err := c.CombinedOutput()
	if strings.Contains(string(out), "unshare failed") || strings.Contains(string(out), "not permitted") {
		t.Skipf("no network namespaces here: %s", out)
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan() && s.Text() != "PASS"; {
		lines = append(lines, s.Text())
	}
	got := strings.Join(lines, "\n")
	want := "ip addr add 192.0.2.1/24 dev eth9: change\n" +
		"ip addr change 192.0.2.1/24 dev eth9 valid_lft 900 preferred_lft 900: no change\n" +
		"ip route add default via 192.0.2.9: change\n" +
		"ip link del eth9: change"
	if err != nil || got != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}

// TestWatchEnd is no test, but the process of TestKernel in its namespace.
func TestWatchEnd(t *testing.T) {
	if os.Getenv(endOfWatch) == "" {
		t.Skip("another test runs this one in its namespace")
	}
	run := func(command string) {
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	run("ip link add eth9 type veth peer name eth8")
	run("ip link set eth9 addrgenmode none")
	run("ip link set eth8 up")
	run("ip link set eth9 up")
	w := roam.Watch(t.Context())
	changed := w.Next()
	// Less than until the next look where the kernel tells nothing; and enough for the look
	// after a hint, on a busy machine too.
	const expected, unexpected = roam.PollInterval - 500*time.Millisecond, roam.LookPause + 2*roam.SettleTime
	for _, c := range []struct {
		command string
		wait    time.Duration
	}{
		{"ip addr add 192.0.2.1/24 dev eth9", expected},
		{"ip addr change 192.0.2.1/24 dev eth9 valid_lft 900 preferred_lft 900", unexpected},
		{"ip route add default via 192.0.2.9", expected},
		{"ip link del eth9", expected},
	} {
		run(c.command)
		word := "change"
		select {
		case <-changed:
			changed = w.Next()
		case <-time.After(c.wait):
			word = "no change"
		}
		fmt.Printf("%s: %s\n", c.command, word)
	}
}
