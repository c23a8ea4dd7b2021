package disk

import "os"

// freeBytes is not known.
func freeBytes(*os.File) (int64, bool) { return 0, false }
