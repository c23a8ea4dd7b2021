package proto

import "errors"

// Hint adds to err what the user can do about it, a command line if there is one.
// The tools print it on a line of its own below the error. A nil err stays nil.
func Hint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, hint}
}

// Hints returns the hints in err's chain, the innermost first.
func Hints(err error) []string {
	h, ok := errors.AsType[*hinted](err)
	if !ok {
		return nil
	}
	return append(Hints(h.error), h.hint)
}

type hinted struct {
	error
	hint string
}

// Unwrap returns the error without the hint.
func (h *hinted) Unwrap() error { return h.error }
