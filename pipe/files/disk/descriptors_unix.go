//go:build !windows

package disk

import (
	"math"

	"golang.org/x/sys/unix"
)

func maxOpen() int {
	var most unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &most) != nil || uint64(most.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(most.Cur)
}

func isShortHere(error) bool { return false }
