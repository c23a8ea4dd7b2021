//go:build !windows

package identity

// privateModes reports whether a file's mode says which users may read it.
const privateModes = true
