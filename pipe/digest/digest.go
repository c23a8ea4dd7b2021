// Package digest is BLAKE3, the digest that both ends of a transfer agree on.
// It is computed beside the I/O, block by block, so that data of any length
// goes through in constant memory.
package digest

import (
	"io"

	"github.com/zeebo/blake3"

	"mesh/proto/wire"
)

// bufferBytes is how much [Copy] reads at once: enough for the widest lanes of
// BLAKE3, and still in the cache when it is written.
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

// Hasher takes data as an [io.Writer]. It is not safe for use by more than one
// goroutine at a time.
type Hasher struct{ h *blake3.Hasher }

// New returns a Hasher that has seen no data.
func New() *Hasher { return &Hasher{blake3.New()} }

// Write adds p to the data. It never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// Sum returns the digest of all data so far. More can follow.
func (h *Hasher) Sum() Digest {
	var d Digest
	h.h.Sum(d[:0])
	return d
}

// Reset makes h as [New] returns it.
func (h *Hasher) Reset() { h.h.Reset() }

// WriteError is a failed write of [Copy], to be told from a failed read.
type WriteError struct{ Err error }

// Error returns the message of the write.
func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the write.
func (e *WriteError) Unwrap() error { return e.Err }

// Copy copies src to dst until the end of src and returns how many bytes were
// written and their digest. A nil dst only digests. An error of dst is a
// [WriteError]; after an error the digest is that of the bytes written.
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
