// Package digest computes BLAKE3, the digest that both ends of a transfer compare. It
// does so while the data passes, in constant memory.
package digest

import (
	"io"

	"github.com/zeebo/blake3"

	"mesh/proto/wire"
)

// bufferBytes is how much [Copy] reads at once: enough for the widest SIMD code of
// BLAKE3, and little enough to be still in the cache when it is written.
const bufferBytes = 256 << 10

// Size is the length of a digest in bytes.
const Size = len(Digest{})

// Digest is the BLAKE3 digest of some data. The type and its text form belong to
// package wire, which carries digests but does not compute them.
type Digest = wire.Digest

// Parse reads the 64 lower-case hexadecimal digits that [Digest.String]
// returns, and nothing else: no upper case, no spaces.
func Parse(s string) (Digest, error) { return wire.ParseDigest(s) }

// Sum returns the digest of p.
func Sum(p []byte) Digest { return blake3.Sum256(p) }

// Hasher computes the digest of the data written to it. It is not safe for concurrent
// use.
type Hasher struct{ h *blake3.Hasher }

// New returns a Hasher that has seen no data.
func New() *Hasher { return &Hasher{blake3.New()} }

// Write adds p to the data. It never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// Sum returns the digest of all data so far. Further writes may follow.
func (h *Hasher) Sum() Digest {
	var d Digest
	h.h.Sum(d[:0])
	return d
}

// Reset forgets all data.
func (h *Hasher) Reset() { h.h.Reset() }

// WriteError is an error of [Copy]'s destination, as opposed to its source.
type WriteError struct{ Err error }

// Error returns the message of the write.
func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the write.
func (e *WriteError) Unwrap() error { return e.Err }

// Copy copies src to dst until the end of src. It returns the number of bytes written
// and their digest, after an error too. With a nil dst it only computes the digest. An
// error of dst is a [WriteError].
func Copy(dst io.Writer, src io.Reader) (int64, Digest, error) {
	h := New()
	var total int64
	buf := make([]byte, bufferBytes)
	for {
		n, err := src.Read(buf)
		if n > 0 && dst != nil {
			m, werr := dst.Write(buf[:n])
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				h.Write(buf[:m])
				return total + int64(m), h.Sum(), &WriteError{werr}
			}
		}
		h.Write(buf[:n])
		total += int64(n)
		if err == io.EOF {
			return total, h.Sum(), nil
		}
		if err != nil {
			return total, h.Sum(), err
		}
	}
}
