//go:build !linux

package cmdline

// argvMemory is not known here.
func argvMemory() memory { return memory{} }
