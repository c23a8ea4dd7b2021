package disk

import "os"

// space is not known.
func space(*os.File) (free, size int64, ok bool) { return 0, 0, false }
