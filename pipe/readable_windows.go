package pipe

import (
	"os"
	"time"
)

// Readable reports false: Windows cannot tell without a read.
func Readable(*os.File) bool { return false }

// ReadableWithin reports true at once: the caller must read to find out.
func ReadableWithin(*os.File, time.Duration) bool { return true }

// ReaderGone reports false: Windows cannot tell without a write.
func ReaderGone(*os.File) bool { return false }
