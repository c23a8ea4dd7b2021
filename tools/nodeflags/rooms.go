package nodeflags

import (
	"sync"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/config"
	"mesh/tools/node"
)

// roomRules are the tables [rooms.NAME] of config.toml.
type roomRules struct {
	file cmdline.Watched

	mu    sync.Mutex
	rules []node.RoomRule
	err   error
}

// now returns the rules as they are now.
func (r *roomRules) now() ([]node.RoomRule, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, changed, err := r.file.Now()
	if err != nil {
		return nil, err
	}
	if changed {
		r.rules, r.err = readRooms(file)
	}
	return r.rules, r.err
}

// readRooms reads the tables [rooms.NAME]. One that allows something needs an owner.
func readRooms(file *config.File) (rules []node.RoomRule, err error) {
	for _, table := range file.Tables("rooms") {
		rule := node.RoomRule{Room: table.Words[0]}
		if err := hub.CheckRoom(rule.Room); err != nil {
			return nil, table.Errorf("%w", err)
		}
		allow, allows := file.Lookup(table.Key + ".allow")
		owner, owned := file.Lookup(table.Key + ".owner")
		if allows {
			if rule.Allow, err = proto.ParseCaps(allow.Words[0]); err != nil {
				return nil, allow.Errorf("%w", err)
			}
		}
		switch {
		case allows && !owned:
			return nil, proto.Hint(allow.Errorf("the room has no owner"), `owner = "NODEID" says whose vouchers make members`)
		case rule.Allow.Has(proto.CapTTYControl):
			return nil, allow.Errorf("%s is not given to rooms", proto.CapTTYControl)
		case !owned:
			continue
		}
		if rule.Owner, err = identity.ParseID(owner.Words[0]); err != nil {
			return nil, owner.Errorf("%w", err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}
