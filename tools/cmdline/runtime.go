package cmdline

import (
	"os"
	"runtime"
	"runtime/debug"
)

// heapGrowth is the GC percentage of a tool that moves bytes. Its heap holds few
// objects, and large ones. So a collection costs almost nothing, and what the
// default leaves uncollected only raises the peak. The percentage is set by the
// first collection, which the default of 4 MiB puts off: a short message then
// needs none and does not wait for one.
const heapGrowth = 25

// Bulk sets up the Go runtime for a tool that moves bytes over one link, where it
// costs more to hand packets to another processor than that processor gains.
// GOMAXPROCS and GOGC in the environment take precedence.
func Bulk() {
	OneProcessor()
	if os.Getenv("GOGC") == "" {
		runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, heapGrowth)
	}
}

// OneProcessor limits the process to one P, unless GOMAXPROCS is set. Senders of
// files use it too: they are faster so.
func OneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// memoryLimit is the size from which a process that moves files collects garbage
// more often. A folder with a million names would else need more than 64 MiB.
const memoryLimit = 48 << 20

// filesGrowth is the GC percentage below memoryLimit: what one file needs is soon
// garbage, and little else is on the heap.
const filesGrowth = 400

// LittleMemory limits the memory of a tool that moves files, unless GOMEMLIMIT is
// set in the environment.
func LittleMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(filesGrowth)
	}
}
