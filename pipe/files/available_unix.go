//go:build !windows && !openbsd

package files

import "golang.org/x/sys/unix"

func available(s *unix.Statfs_t) int64 { return int64(s.Bavail) * int64(s.Bsize) }
