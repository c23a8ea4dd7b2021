package cmdline

import (
	"bytes"
	"os"
	"strconv"
)

// argvMemory returns where argv lies in this process: the fields arg_start and arg_end
// of /proc/self/stat (proc_pid_stat(5)).
func argvMemory() memory {
	const start, end = 48 - 3, 49 - 3 // the fields behind the name begin with the third
	stat, err := os.ReadFile("/proc/self/stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if err != nil || len(fields) <= end {
		return memory{}
	}
	from, err1 := strconv.ParseUint(string(fields[start]), 10, 64)
	to, err2 := strconv.ParseUint(string(fields[end]), 10, 64)
	if err1 != nil || err2 != nil {
		return memory{}
	}
	return memory{uintptr(from), uintptr(to)}
}
