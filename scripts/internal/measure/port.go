//go:build unix

package measure

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// FreePort returns a TCP port of the loopback address that nothing uses now.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// Listens reports whether a process in p's network namespace listens on a TCP
// port. It reads Linux's /proc, because a connection would count as a client.
// Elsewhere it guesses that 300 ms suffice.
func Listens(p *Process, port string) bool {
	n, _ := strconv.ParseUint(port, 10, 16)
	local := fmt.Sprintf(":%04X ", n)
	if _, err := os.Stat("/proc/self/net/tcp"); err != nil {
		return time.Since(p.Began) > 300*time.Millisecond
	}
	for _, name := range []string{"tcp", "tcp6"} {
		table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.Cmd.Process.Pid, name))
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, local) && strings.Contains(line, ":0000 0A ") { // 0A: listens
				return true
			}
		}
	}
	return false
}

// Find is exec.LookPath that also searches /usr/sbin, which is not in every
// user's PATH.
func Find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return exec.LookPath("/usr/sbin/" + program)
	}
	return path, nil
}

// Need returns a Missing error for the first program that is not installed.
func Need(programs ...string) error {
	for _, name := range programs {
		if _, err := Find(name); err != nil {
			return Missing{name + " is not installed"}
		}
	}
	return nil
}
