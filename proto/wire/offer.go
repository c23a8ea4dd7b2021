package wire

import (
	"fmt"
	"slices"

	"mesh/proto"
)

// The frames before a transfer of kind [KindTake]. See "Files to take" in package proto.
const (
	TypeListed Type = 0x25
	TypeSum    Type = 0x26
	TypeTake   Type = 0x2b
)

// What a [Take] asks for instead of files.
const (
	ListAll = "all" // a FILES_LISTED for each entry, then FILES_TOTAL
	ListSum = "sum" // a FILES_SUM
)

// Take is FILES_TAKE: the receiver says which of the offered files it wants.
type Take struct {
	// Names are paths of entries that are wanted with all that is in them; none for
	// all that is offered. The sender only compares them with what it offers, so they
	// need not be valid paths.
	Names []string `json:"names,omitempty"`
	// List asks for [ListAll] or [ListSum] of them; "" asks for the files.
	List string `json:"list,omitempty"`
}

// Listed is FILES_LISTED, an entry of a list.
type Listed struct {
	Path string `json:"path"` // as in [Entry]
	Kind string `json:"kind"`
	Size int64  `json:"size,omitempty"` // of a file
}

// Sum is FILES_SUM: how much would be sent.
type Sum struct {
	Path  string `json:"path,omitempty"`  // of the first entry; "" if there is none
	Top   int64  `json:"top,omitempty"`   // entries that are in no other one
	Files int64  `json:"files,omitempty"` // files and links
	Bytes int64  `json:"bytes,omitempty"` // that would be sent of the files
	// More says that the sender has stopped to count: the numbers are at least so large.
	More bool `json:"more,omitempty"`
}

// Type implements [Message].
func (*Take) Type() Type { return TypeTake }

// Type implements [Message].
func (*Listed) Type() Type { return TypeListed }

// Type implements [Message].
func (*Sum) Type() Type { return TypeSum }

func (m *Take) check() error {
	if len(m.Names) > proto.MaxTakeNames || m.List != "" && m.List != ListAll && m.List != ListSum {
		return errRange
	}
	seen := make(map[string]bool, len(m.Names))
	for _, name := range m.Names {
		if name == "" || len(name) > proto.MaxPathBytes {
			return errRange
		}
		if seen[name] {
			return fmt.Errorf("a name twice")
		}
		seen[name] = true
	}
	return nil
}

func (m *Listed) check() error {
	if m.Path == "" || len(m.Path) > proto.MaxPathBytes || m.Size < 0 || m.Kind != EntryFile && m.Size != 0 {
		return errRange
	}
	if !slices.Contains([]string{EntryFile, EntryFolder, EntrySymlink}, m.Kind) {
		return fmt.Errorf("unknown kind of entry")
	}
	return nil
}

func (m *Sum) check() error {
	if len(m.Path) > proto.MaxPathBytes || m.Top < 0 || m.Files < 0 || m.Bytes < 0 || (m.Path == "") != (m.Top == 0) {
		return errRange
	}
	return nil
}
