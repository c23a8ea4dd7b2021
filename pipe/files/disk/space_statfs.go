//go:build !windows && !openbsd

package disk

import "golang.org/x/sys/unix"

func availableBytes(s *unix.Statfs_t) int64 { return int64(s.Bavail) * int64(s.Bsize) }
