package pty

// EnvironOf is Environ, on a system where names fold or not.
func EnvironOf(base, set []string, fold bool) []string { return environ(base, set, fold) }
