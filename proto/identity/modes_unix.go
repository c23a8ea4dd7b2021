//go:build !windows

package identity

// privateModes is whether a file's mode says who may read it.
const privateModes = true
