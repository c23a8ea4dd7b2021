package cast

// NewFile is a File on something else than the system's.
func NewFile(d disk) *File { return newFile(d) }

// StallTime and MaxBehind are what a slow disk may cost.
const (
	StallTime = stallTime
	MaxBehind = maxBehind
)
