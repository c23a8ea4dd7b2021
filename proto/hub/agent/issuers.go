package agent

import (
	"errors"
	"path/filepath"
	"strings"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// IssuersFile in the state folder has the issuers that this node trusts: lines "NODEID
// [name|room:ROOM|admit]", where the second word says with what, and name is meant without
// it. "#" begins a comment.
const IssuersFile = "trusted_issuers"

// Issuer is an issuer, and what its vouchers count for.
type Issuer struct {
	ID identity.ID
	// Kind is that of the vouchers, Room their text if they are for a room.
	Kind hub.VoucherKind
	Room string
}

// Word returns the second word of the issuer's line.
func (i Issuer) Word() string {
	if i.Kind == hub.VoucherRoom {
		return i.Kind.String() + ":" + i.Room
	}
	return i.Kind.String()
}

// ParseIssuer reads the words of a line.
func ParseIssuer(words []string) (i Issuer, err error) {
	if len(words) < 1 || len(words) > 2 {
		return i, errors.New("want NODEID [name|room:ROOM|admit]")
	}
	if i.ID, err = identity.ParseID(words[0]); err != nil {
		return i, err
	}
	i.Kind = hub.VoucherName
	if len(words) == 1 {
		return i, nil
	}
	room, ok := strings.CutPrefix(words[1], "room:")
	switch {
	case ok:
		i.Kind, i.Room = hub.VoucherRoom, room
		return i, hub.CheckRoom(room)
	case words[1] == hub.VoucherAdmit.String():
		i.Kind = hub.VoucherAdmit
	case words[1] != hub.VoucherName.String():
		return i, errors.New("an issuer is trusted with name, room:ROOM or admit")
	}
	return i, nil
}

// Issuers are the issuers that a node trusts, in a state folder. The file is read again for
// each question, so that an edit takes effect at once.
type Issuers struct{ Dir string }

// List returns the issuers in the order of the file. A file that does not exist has none.
func (k Issuers) List() (list []Issuer, err error) {
	err = eachLine(filepath.Join(k.Dir, IssuersFile), func(words []string) error {
		i, err := ParseIssuer(words)
		list = append(list, i)
		return err
	})
	return list, err
}

// Trusts reports whether the word of a voucher's issuer counts for its kind, and for its
// room if that is what it says.
func (k Issuers) Trusts(v hub.Voucher) (bool, error) {
	list, err := k.List()
	for _, i := range list {
		if i.ID == v.Issuer && i.Kind == v.Kind && (i.Kind != hub.VoucherRoom || i.Room == v.Text) {
			return err == nil, err
		}
	}
	return false, err
}

// Add appends an issuer, unless the file says the same already.
func (k Issuers) Add(i Issuer) error {
	return editLines(filepath.Join(k.Dir, IssuersFile), i.ID.String()+" "+i.Word(), func(words []string) bool {
		old, err := ParseIssuer(words)
		return err != nil || old != i
	})
}

// Forget removes all lines of an issuer, and reports whether there were any.
func (k Issuers) Forget(id identity.ID) (found bool, err error) {
	err = editLines(filepath.Join(k.Dir, IssuersFile), "", func(words []string) bool {
		same := words[0] == id.String()
		found = found || same
		return !same
	})
	return found, err
}
