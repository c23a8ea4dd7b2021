package boltstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"

	"mesh/proto"
)

// sum is a checksum of records in any order: the XOR of a digest of each.
type sum [16]byte

// toggle adds a record, or takes it out again.
func (s *sum) toggle(bucket string, key, value []byte) {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64([]byte(bucket+"\x00"), uint64(len(key))))
	h.Write(key)
	h.Write(value)
	for i, b := range h.Sum(nil)[:len(s)] {
		s[i] ^= b
	}
}

// The format of bbolt (go.etcd.io/bbolt/internal/common). Numbers have the byte order of
// the machine.
const (
	headerBytes  = 16
	elementBytes = 16
	bucketBytes  = 16
	metaBytes    = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	minPageBytes = 1024
	maxPageBytes = 64 << 10

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // of an element
	manyFree     = 0xFFFF
	maxDepth     = 64
)

var order = binary.NativeEndian

type meta struct {
	pageBytes             uint32
	root, freelist, pages uint64
	transaction           uint64
}

// checker reads a file page by page. Each page must belong to one place of the tree, or
// be free.
type checker struct {
	f     *os.File
	meta  meta
	used  []bool
	total sum
	want  []byte
}

// check returns an error that is [ErrDamaged] unless all of the file is in order.
func check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c := &checker{f: f}
	if err = c.readMetas(info.Size()); err == nil {
		err = c.checkPages()
	}
	if err == nil && !bytes.Equal(c.want, c.total[:]) {
		err = errors.New("its checksum is wrong")
	}
	if _, ok := errors.AsType[*proto.Error](err); ok || err == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// readMetas wants both meta pages to be whole, since one that is not may have been the
// newer one.
func (c *checker) readMetas(size int64) error {
	m, err := c.readMeta(0)
	if err != nil {
		return err
	}
	second, err := c.readMeta(int64(m.pageBytes))
	switch {
	case err != nil:
		return err
	case second.pageBytes != m.pageBytes:
		return errors.New("its meta pages differ in the size of a page")
	case second.transaction > m.transaction:
		m = second
	}
	if m.pages < 2 || m.pages > uint64(size)/uint64(m.pageBytes) {
		return fmt.Errorf("it has %d bytes, which is too little for %d pages", size, m.pages)
	}
	c.meta, c.used = m, make([]bool, m.pages)
	c.used[0], c.used[1] = true, true
	return nil
}

func (c *checker) readMeta(at int64) (meta, error) {
	b, err := c.readAt(at+headerBytes, metaBytes)
	if err != nil {
		return meta{}, err
	}
	h := fnv.New64a()
	_, _ = h.Write(b[:metaBytes-8])
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[metaBytes-8:]) != h.Sum64() {
		return meta{}, errors.New("a meta page is not valid")
	}
	m := meta{order.Uint32(b[8:]), order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}
	if m.pageBytes < minPageBytes || m.pageBytes > maxPageBytes || m.pageBytes&(m.pageBytes-1) != 0 {
		return meta{}, errors.New("the size of its pages is not valid")
	}
	return m, nil
}

func (c *checker) readAt(at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if got, err := c.f.ReadAt(b, at); got < n {
		if got == 0 || errors.Is(err, os.ErrClosed) {
			return nil, fmt.Errorf("it ends at byte %d: %w", at, err)
		}
		return nil, fmt.Errorf("it ends at byte %d", at+int64(got))
	}
	return b, nil
}

// checkPages walks over the tree and the list of free pages.
func (c *checker) checkPages() error {
	if err := c.bucket(c.meta.root, "", 0); err != nil {
		return err
	}
	if err := c.free(); err != nil {
		return err
	}
	for id, used := range c.used {
		if !used {
			return fmt.Errorf("page %d belongs to nothing", id)
		}
	}
	return nil
}

// page reads a page of the wanted kind, with those that continue it, and notes that they
// are in use.
func (c *checker) page(id uint64, flags ...uint16) ([]byte, error) {
	if id >= c.meta.pages {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	at, size := int64(id)*int64(c.meta.pageBytes), int64(c.meta.pageBytes)
	header, err := c.readAt(at, headerBytes)
	if err != nil {
		return nil, err
	}
	more := uint64(order.Uint32(header[12:]))
	if order.Uint64(header) != id || more >= c.meta.pages-id || !slices.Contains(flags, order.Uint16(header[8:])) {
		return nil, fmt.Errorf("page %d has a wrong head", id)
	}
	for i := id; i <= id+more; i++ {
		if c.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		c.used[i] = true
	}
	return c.readAt(at, int(size*int64(more+1)))
}

// bucket walks over the tree of a bucket; the root has no name.
func (c *checker) bucket(root uint64, name string, depth int) error {
	if depth > 1 {
		return fmt.Errorf("bucket %q is inside of another one", name)
	}
	_, err := c.tree(root, name, depth, nil, nil, 0)
	return err
}

// tree walks over a page and those below it. The keys are at least low and below high;
// nil is no bound. It returns the last key.
func (c *checker) tree(id uint64, bucket string, depth int, low, high []byte, level int) ([]byte, error) {
	if level > maxDepth {
		return nil, errors.New("its tree is too deep")
	}
	p, err := c.page(id, flagBranch, flagLeaf)
	if err != nil {
		return nil, err
	}
	return c.elements(p, bucket, depth, low, high, level)
}

func (c *checker) elements(p []byte, bucket string, depth int, low, high []byte, level int) ([]byte, error) {
	branch, count := order.Uint16(p[8:]) == flagBranch, int(order.Uint16(p[10:]))
	if headerBytes+count*elementBytes > len(p) || branch && count == 0 {
		return nil, errors.New("a page has too many elements, or none")
	}
	last := low
	for i := range count {
		e := element(p, i, branch)
		if e.key == nil || high != nil && bytes.Compare(e.key, high) >= 0 || !follows(e.key, last, i == 0) {
			return nil, errors.New("a key is not where it belongs")
		}
		last = e.key
		if !branch {
			if err := c.record(bucket, depth, e); err != nil {
				return nil, err
			}
			continue
		}
		next := high
		if i+1 < count {
			if next = element(p, i+1, true).key; next == nil {
				return nil, errors.New("a key is outside of its page")
			}
		}
		if _, err := c.tree(e.child, bucket, depth, e.key, next, level+1); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// follows reports whether a key may come after last. The first one of a page may be
// equal to the bound that the page above has for it.
func follows(key, last []byte, first bool) bool {
	n := bytes.Compare(key, last)
	return n > 0 || n == 0 && first
}

// elem is one element of a page. Its key is nil if it does not lie in the page.
type elem struct {
	key, value []byte
	isBucket   bool
	child      uint64
}

func element(p []byte, i int, branch bool) elem {
	at := headerBytes + i*elementBytes
	b := p[at : at+elementBytes]
	e := elem{}
	var pos, keyLen, valueLen uint64
	if branch {
		pos, keyLen, e.child = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint64(b[8:])
	} else {
		e.isBucket = order.Uint32(b) == flagBucket
		pos, keyLen, valueLen = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
	}
	start := uint64(at) + pos
	if start+keyLen+valueLen > uint64(len(p)) || keyLen == 0 || !branch && order.Uint32(b)&^flagBucket != 0 {
		return e
	}
	e.key, e.value = p[start:start+keyLen], p[start+keyLen:start+keyLen+valueLen]
	return e
}

// record takes an element of a leaf: a bucket of the root, or a record of a bucket.
func (c *checker) record(bucket string, depth int, e elem) error {
	switch {
	case e.isBucket:
		if len(e.value) < bucketBytes {
			return errors.New("a bucket has no head")
		}
		root := order.Uint64(e.value)
		if root != 0 {
			return c.bucket(root, string(e.key), depth+1)
		}
		inline := e.value[bucketBytes:]
		if len(inline) < headerBytes || order.Uint16(inline[8:]) != flagLeaf || depth > 0 {
			return errors.New("a small bucket is malformed")
		}
		_, err := c.elements(inline, string(e.key), depth+1, nil, nil, 0)
		return err
	case depth == 0:
		return errors.New("a record is in no bucket")
	case bucket == sumBucket:
		c.want = bytes.Clone(e.value)
	case bucket == factsBucket || bucket == logBucket:
		c.total.toggle(bucket, e.key, e.value)
	default:
		return errors.New("it has an unknown bucket")
	}
	return nil
}

// free reads the list of free pages.
func (c *checker) free() error {
	p, err := c.page(c.meta.freelist, flagFreelist)
	if err != nil {
		return err
	}
	ids, count := p[headerBytes:], uint64(order.Uint16(p[10:]))
	if count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return errors.New("the list of free pages is too long for its page")
	}
	for i := range count {
		id := order.Uint64(ids[8*i:])
		if id >= c.meta.pages || c.used[id] {
			return fmt.Errorf("page %d is free, and in use", id)
		}
		c.used[id] = true
	}
	return nil
}
