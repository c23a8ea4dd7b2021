package disk

import "golang.org/x/sys/unix"

func availableBytes(s *unix.Statfs_t) int64 { return s.F_bavail * int64(s.F_bsize) }
