package measure

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine describes this machine and how busy it is. The load is the average of
// the last minute: if it is not near 0, other programs share in the figures.
func Machine() string {
	load := "unknown"
	averages, _ := os.ReadFile("/proc/loadavg")
	if last, _, ok := strings.Cut(string(averages), " "); ok {
		load = last
	}
	kernel := runtime.GOOS
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		kernel = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores, %s, %s; load %s before the start", cpuModel(), runtime.NumCPU(), kernel, runtime.Version(), load)
}

// cpuModel returns the processor's name, or its architecture.
func cpuModel() string {
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

// FileSystem returns the type of the file system that holds dir.
func FileSystem(dir string) string {
	out, _ := exec.Command("findmnt", "-n", "-o", "FSTYPE", "-T", dir).Output()
	if types := strings.Fields(string(out)); len(types) > 0 { // one for each mount on that folder
		return types[len(types)-1]
	}
	return "a file system of unknown type"
}
