//go:build !linux

package disk

// hasVagueNumbers is false: a file has one number.
func (*Folder) hasVagueNumbers() bool { return false }
