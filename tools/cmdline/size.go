package cmdline

import (
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// Size is the value of a flag for a number of bytes, for example 1048576, 1024K or
// 1M. K, M, G and T stand for powers of 1024, and iB may follow them.
type Size int64

const sizeUnits = "KMGT"

// Set implements [cli.Generic].
func (s *Size) Set(text string) error {
	number, unit := strings.TrimSuffix(text, "iB"), int64(1)
	if n := len(number); n > 0 {
		if i := strings.IndexByte(sizeUnits, number[n-1]); i >= 0 {
			number, unit = number[:n-1], 1<<(10*(i+1))
		} else if number != text {
			number = "" // iB without a letter before it
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return proto.Errorf(proto.Usage, "%q is not a size like 1048576, 1024K or 1M", text)
	}
	*s = Size(int64(n) * unit)
	return nil
}

// String returns the shortest text that Set accepts for the size.
func (s *Size) String() string {
	n, unit := int64(*s), ""
	for i := 0; i < len(sizeUnits) && n > 0 && n%1024 == 0; i++ {
		n, unit = n/1024, sizeUnits[i:i+1]
	}
	return strconv.FormatInt(n, 10) + unit
}

// SizeOf returns the value of a flag for a [Size], and 0 for a tool without it.
func SizeOf(c *cli.Context, name string) int64 {
	if s, ok := c.Generic(name).(*Size); ok {
		return int64(*s)
	}
	return 0
}

// sizeFlag returns a flag for a size from least to most.
func sizeFlag(name, usage string, value, least, most Size) *cli.GenericFlag {
	return &cli.GenericFlag{
		Name: name, Value: &value, Usage: usage,
		Action: func(_ *cli.Context, v any) error {
			if got := *v.(*Size); got < least || got > most {
				return proto.Errorf(proto.Usage, "flag --%s: want %s to %s", name, &least, &most)
			}
			return nil
		},
	}
}
