//go:build !linux && !darwin

package disk

// renameNew renames a file in a folder. If the new name exists, the error is
// [fs.ErrExist].
func renameNew(in *Folder, from, to string) error { return linkAndRemove(in, from, to) }
