package cast

// NewFile returns a File on a disk of the test.
func NewFile(d disk) *File { return newFile(d) }

// StallTime and MaxQueuedBytes bound the cost of a slow disk.
const (
	StallTime      = stallTime
	MaxQueuedBytes = maxQueuedBytes
)
