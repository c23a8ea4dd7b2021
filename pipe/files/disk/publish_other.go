//go:build !linux && !darwin

package disk

import "errors"

// renameAt is not available.
func renameAt(int, string, string) error { return errors.ErrUnsupported }
