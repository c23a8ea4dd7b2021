package disk

import (
	"bytes"
	"io"
)

// holeBytes is the size of the blocks that Write leaves out if they are zeros. They
// begin at multiples of it in the file.
const holeBytes = 16 << 10

var zeros [holeBytes]byte

// Write writes on in the open file. It leaves out blocks of zeros, which take no room
// on a file system with holes. The file has its length all the same.
func (t *Temp) Write(p []byte) (n int, err error) {
	isHole := false
	for n < len(p) && err == nil {
		var run int
		if run, isHole = FirstRun(p[n:], t.at); isHole {
			_, err = t.file.Seek(int64(run), io.SeekCurrent)
		} else {
			run, err = t.file.Write(p[n : n+run])
		}
		n += run
		t.at += int64(run)
	}
	if isHole && err == nil {
		err = t.file.Truncate(t.at)
	}
	return n, err
}

// FirstRun returns how many bytes at the beginning of p, which stands at an offset in
// the file, are whole blocks of zeros, or else how many are not.
func FirstRun(p []byte, offset int64) (n int, isHole bool) {
	for n < len(p) {
		size := min(holeBytes-int((offset+int64(n))%holeBytes), len(p)-n)
		block := size == holeBytes && bytes.Equal(p[n:n+size], zeros[:])
		if n > 0 && block != isHole {
			break
		}
		n, isHole = n+size, block
	}
	return n, isHole
}
