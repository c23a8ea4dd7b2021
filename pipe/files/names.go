package files

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// readNamesAtOnce is how many names are taken from the system at a time.
const readNamesAtOnce = 1024

// nameList is the sorted names of a folder, packed, since there may be a million.
// Their order is that of what [fold] makes of them, so that names that some
// system takes for one stand beside each other.
type nameList struct {
	text  [][]byte // blocks, which are never moved
	names []nameAt
	next  int
}

// minBlockBytes is the capacity of the first block, and maxBlockBytes that of the
// last ones.
const (
	minBlockBytes = 1 << 12
	blockBits     = 20
	maxBlockBytes = 1 << blockBits
)

// nameAt is where a name is in the text: the block, and the place in it in the
// lowest blockBits. Behind it, if fold changes more of it
// than ASCII letters, stands what fold makes of it.
type nameAt struct {
	at           uint32
	length, fold uint16
}

// readNames lists an open folder.
func readNames(dir *os.File) (*nameList, error) {
	l := new(nameList)
	for {
		names, err := dir.Readdirnames(readNamesAtOnce)
		for _, name := range names {
			l.add(name)
		}
		if errors.Is(err, io.EOF) {
			l.sort()
			return l, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (l *nameList) add(name string) {
	folded := ""
	if !isASCII(name) {
		folded = fold(name)
	}
	block := l.room(len(name) + len(folded))
	at := uint32(len(l.text)-1)<<blockBits | uint32(len(*block))
	*block = append(append(*block, name...), folded...)
	l.names = append(l.names, nameAt{at, uint16(len(name)), uint16(len(folded))})
}

// room returns a block with room for n bytes, few beside [maxBlockBytes].
func (l *nameList) room(n int) *[]byte {
	if last := len(l.text) - 1; last >= 0 && cap(l.text[last])-len(l.text[last]) >= n {
		return &l.text[last]
	}
	size := minBlockBytes << min(len(l.text), blockBits)
	l.text = append(l.text, make([]byte, 0, min(size, maxBlockBytes)))
	return &l.text[len(l.text)-1]
}

func (l *nameList) sort() {
	slices.SortFunc(l.names, func(a, b nameAt) int {
		if a.fold == 0 && b.fold == 0 {
			return compareASCII(l.name(a), l.name(b))
		}
		return cmp.Or(strings.Compare(l.folded(a), l.folded(b)), strings.Compare(string(l.name(a)), string(l.name(b))))
	})
}

func (l *nameList) name(n nameAt) []byte { return l.behind(n)[:n.length] }

// behind is the text from where a name begins.
func (l *nameList) behind(n nameAt) []byte { return l.text[n.at>>blockBits][n.at%maxBlockBytes:] }

func (l *nameList) folded(n nameAt) string {
	if n.fold == 0 {
		return fold(string(l.name(n)))
	}
	return string(l.behind(n)[n.length:][:n.fold])
}

// pop returns the next name; false when there is none.
func (l *nameList) pop() (string, bool) {
	if l.next == len(l.names) {
		return "", false
	}
	l.next++
	return string(l.name(l.names[l.next-1])), true
}

// compareASCII compares as fold and then the names themselves would.
func compareASCII(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(lower(a[i]), lower(b[i])); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b))
}

// comparePaths compares as a walk comes by: a folder before what is in it, and in
// each folder as fold, and then the names themselves.
func comparePaths(a, b string) int {
	for {
		x, restA, inA := strings.Cut(a, "/")
		y, restB, inB := strings.Cut(b, "/")
		switch {
		case x != y:
			return cmp.Or(strings.Compare(fold(x), fold(y)), strings.Compare(x, y))
		case !inA || !inB:
			return cmp.Compare(len(a), len(b))
		}
		a, b = restA, restB
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
