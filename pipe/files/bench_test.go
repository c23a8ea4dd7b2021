package files_test

import (
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkSmall transfers 10,000 files of 4 KiB.
func BenchmarkSmall(b *testing.B) {
	dir := b.TempDir()
	data := make([]byte, 4<<10)
	for i := range 10000 {
		write(b, filepath.Join(dir, fmt.Sprint(i/100), fmt.Sprint(i)), data)
	}
	b.SetBytes(10000 * int64(len(data)))
	for b.Loop() {
		var r run
		r.transfer(b, b.TempDir(), dir)
		r.wantCodes(b, 0, 0)
	}
}
