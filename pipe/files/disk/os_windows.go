package disk

import "os"

// nonblock is no flag: a name in a folder is never a pipe.
const nonblock = 0

// syncFolder does nothing: NTFS journals names, and a folder cannot be flushed.
func syncFolder(*os.File) error { return nil }
