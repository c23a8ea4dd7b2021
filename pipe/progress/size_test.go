package progress_test

import (
	"math"
	"testing"

	"mesh/pipe/progress"
)

func TestBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 2: "2 bytes", 999: "999 bytes", 1000: "1.0 kB", 1049: "1.0 kB", 1050: "1.1 kB", 9949: "9.9 kB",
		9950: "10 kB", 34_000_000: "34 MB", 999_499: "999 kB", 999_500: "1.0 MB", 999_999_999: "1.0 GB", 1 << 40: "1.1 TB",
		math.MaxInt64: "9.2 EB",
	} {
		if got := progress.Bytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
