package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

// shortGap is the shortest gap that is noted.
const shortGap = 100 * time.Millisecond

// meter reads standard input to its end. It adds a line with the milliseconds of each gap to
// a file, and prints the SHA-256 and the number of the bytes.
func meter(name string) error {
	gaps, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer gaps.Close()
	sum, size, last, b := sha256.New(), 0, time.Now(), make([]byte, 64<<10)
	for {
		n, err := os.Stdin.Read(b)
		if gap := time.Since(last); gap >= shortGap {
			fmt.Fprintln(gaps, gap.Milliseconds())
		}
		sum.Write(b[:n])
		size += n
		if err == io.EOF {
			fmt.Printf("%x %d\n", sum.Sum(nil), size)
			return nil
		}
		if err != nil {
			return err
		}
		last = time.Now()
	}
}
