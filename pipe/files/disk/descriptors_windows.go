package disk

import (
	"errors"
	"math"

	"golang.org/x/sys/windows"
)

// maxOpen is as good as unlimited.
func maxOpen() int { return math.MaxInt32 }

func isShortHere(err error) bool { return errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) }
