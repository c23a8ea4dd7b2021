//go:build unix

package measure

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is the CPU time and the peak memory of a process and those of its
// children that it has waited for.
type Usage struct {
	CPU  time.Duration
	Peak Size
}

// Usage returns what p, which must have ended, has used.
func (p *Process) Usage() Usage { return usage(p.Cmd) }

func usage(cmd *exec.Cmd) Usage {
	ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return Usage{}
	}
	peak := Size(ru.Maxrss)
	if runtime.GOOS != "darwin" {
		peak <<= 10 // KiB everywhere else
	}
	return Usage{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Peak: peak}
}

// PeakFloor returns the lowest peak that can be measured. The kernel counts the
// memory of this process for a child until the child executes its own program.
func PeakFloor() (Size, error) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	return usage(cmd).Peak, nil
}

// AwaitChildren waits, for a second at most, until p has waited for all its
// children: only then its usage includes theirs. It needs Linux's /proc.
func (p *Process) AwaitChildren(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil && hasChild(p.Cmd.Process.Pid) {
		time.Sleep(pollInterval)
	}
}

func hasChild(pid int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, _ := os.ReadFile(name)
		// The line is "PID (NAME) STATE PPID …", and NAME may contain anything.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}
