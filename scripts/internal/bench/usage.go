//go:build unix

package main

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

// usage is what one end used, its child processes included.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes
}

// used returns what cmd, which has ended, and its children used.
func used(cmd *exec.Cmd) usage {
	ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}
	}
	peak := int64(ru.Maxrss)
	if runtime.GOOS != "darwin" {
		peak <<= 10 // KiB everywhere else
	}
	return usage{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: peak}
}

// settle waits, a second at most, until the process pid has collected its
// children: only then are they in its own account. It needs Linux's /proc.
func settle(ctx context.Context, pid int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil && hasChild(pid) {
		time.Sleep(time.Millisecond)
	}
}

func hasChild(pid int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, _ := os.ReadFile(name)
		// "PID (NAME) STATE PPID …", and NAME may hold anything.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}
