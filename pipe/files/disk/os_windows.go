package disk

import "os"

// fileFlags are for every open of a file. A name in a folder is never a pipe.
const fileFlags = 0

// syncFolder does nothing: NTFS journals names, and a folder cannot be flushed.
func syncFolder(*os.File) error { return nil }
