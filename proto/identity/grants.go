package identity

import (
	"errors"
	"path/filepath"

	"mesh/proto"
)

// Grant is an entry of authorized_peers: what a node may do here without a token.
type Grant struct {
	ID   ID
	Caps proto.Caps
}

// Grants returns the entries of authorized_peers in the order of the file. If a node
// is listed several times, its last entry counts and Grants returns no other.
func (b Book) Grants() ([]Grant, error) {
	var grants []Grant
	err := eachLine(filepath.Join(b.Dir, AuthorizedPeersFile), func(words []string) error {
		if len(words) != 2 {
			return errors.New("want NODEID CAPABILITIES")
		}
		id, err := ParseID(words[0])
		if err != nil {
			return err
		}
		caps, err := proto.ParseCaps(words[1])
		if err != nil {
			return err
		}
		grants = append(grants, Grant{id, caps})
		return nil
	})
	if err != nil {
		return nil, err
	}
	last := make(map[ID]int, len(grants))
	for i, g := range grants {
		last[g.ID] = i
	}
	held := grants[:0]
	for i, g := range grants {
		if last[g.ID] == i {
			held = append(held, g)
		}
	}
	return held, nil
}

// Authorized returns what id may do here without a token; 0 if authorized_peers does
// not list it.
func (b Book) Authorized(id ID) (proto.Caps, error) {
	grants, err := b.Grants()
	for _, g := range grants {
		if g.ID == id {
			return g.Caps, err
		}
	}
	return 0, err
}

// Allow sets what id may do here in authorized_peers. With no capabilities it removes
// id.
func (b Book) Allow(id ID, caps proto.Caps) error {
	line := ""
	if caps != 0 {
		line = id.String() + " " + caps.String()
	}
	return b.editLines(AuthorizedPeersFile, line, func(words []string) (bool, error) {
		return words[0] == id.String(), nil
	})
}
