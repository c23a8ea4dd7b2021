package files

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"

	"mesh/pipe/files/disk"
)

// readNamesAtOnce is how many names are read from the system at a time.
const readNamesAtOnce = 1024

// nameList is the names of a folder, packed, since there may be a million. They are
// sorted by their [fold], so that names which some system takes for one stand beside
// each other.
type nameList struct {
	text  [][]byte // blocks, which are never moved
	names []nameAt
	next  int
}

// Blocks double in capacity from minBlockBytes to maxBlockBytes.
const (
	minBlockBytes = 1 << 12
	blockBits     = 20
	maxBlockBytes = 1 << blockBits
)

// nameAt is where a name stands in the text: the number of the block, and in the
// lowest blockBits the offset in the block. If the name is not ASCII, its fold
// follows it.
type nameAt struct {
	at           uint32
	length, fold uint16
}

// readNames lists an open folder.
func readNames(dir *disk.Folder) (*nameList, error) {
	l := new(nameList)
	for {
		names, err := dir.ReadNames(readNamesAtOnce)
		for _, name := range names {
			l.addName(name)
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

func (l *nameList) addName(name string) {
	folded := ""
	if !isASCII(name) {
		folded = fold(name)
	}
	block := l.blockFor(len(name) + len(folded))
	at := uint32(len(l.text)-1)<<blockBits | uint32(len(*block))
	*block = append(append(*block, name...), folded...)
	l.names = append(l.names, nameAt{at, uint16(len(name)), uint16(len(folded))})
}

// blockFor returns a block with room for n bytes, which are much fewer than
// maxBlockBytes.
func (l *nameList) blockFor(n int) *[]byte {
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

func (l *nameList) name(n nameAt) []byte { return l.textAt(n)[:n.length] }

// textAt returns the text of a block from where a name begins.
func (l *nameList) textAt(n nameAt) []byte { return l.text[n.at>>blockBits][n.at%maxBlockBytes:] }

func (l *nameList) folded(n nameAt) string {
	if n.fold == 0 {
		return fold(string(l.name(n)))
	}
	return string(l.textAt(n)[n.length:][:n.fold])
}

// popName returns the next name, and false at the end.
func (l *nameList) popName() (string, bool) {
	if l.next == len(l.names) {
		return "", false
	}
	l.next++
	return string(l.name(l.names[l.next-1])), true
}
