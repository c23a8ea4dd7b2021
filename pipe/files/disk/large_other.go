//go:build !linux && !windows

package disk

// largeFile is no flag: all files may be large.
const largeFile = 0
