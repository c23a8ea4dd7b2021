//go:build unix

// Package host says what a measurement was made on, runs what is measured, and has
// the sshd that it is measured beside.
package host

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// CPUModel returns the processor's name, or its architecture.
func CPUModel() string {
	info, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Load is what others did here in the last minute: near 0 or the figures are theirs too.
func Load() string {
	averages, _ := os.ReadFile("/proc/loadavg")
	if last, _, ok := strings.Cut(string(averages), " "); ok {
		return last
	}
	return "unknown"
}

// Kernel returns the kernel's name and version.
func Kernel() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(out))
}

// FileSystem returns the type of the file system that holds dir.
func FileSystem(dir string) string {
	out, _ := exec.Command("findmnt", "-n", "-o", "FSTYPE", "-T", dir).Output()
	if types := strings.Fields(string(out)); len(types) > 0 { // one for each mount on that folder
		return types[len(types)-1]
	}
	return "a file system of unknown type"
}
