package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/statefile"
)

// KnownFile in the state folder has the hubs of a node, in the order of asking: lines
// "URL NODEID bound|unbound", in which the URL names no key. "#" begins a comment.
const KnownFile = "known_hubs"

const maxKnownBytes = 64 << 10

// Known is the list of hubs in a state folder.
type Known struct{ Dir string }

// List returns the hubs in the order of the file, each with its key. Proxy says that the
// hub's proof did not name the connection though there was TLS. A file that does not
// exist has none.
func (k Known) List() ([]hub.URL, error) {
	path := filepath.Join(k.Dir, KnownFile)
	text, err := statefile.Read(path, maxKnownBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var hubs []hub.URL
	for i, line := range strings.Split(string(text), "\n") {
		u, ok, err := parseKnown(line)
		if err != nil {
			return nil, proto.Errorf(proto.Config, "%s:%d: %w", path, i+1, err)
		}
		if ok {
			hubs = append(hubs, u)
		}
	}
	return hubs, nil
}

// parseKnown reads a line. ok is false for one without words.
func parseKnown(line string) (u hub.URL, ok bool, err error) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return u, false, nil
	}
	if len(words) != 3 || words[2] != "bound" && words[2] != "unbound" {
		return u, false, errors.New("want URL NODEID bound|unbound")
	}
	if u, err = hub.ParseURL(words[0]); err != nil {
		return u, false, err
	}
	u.Key, err = identity.ParseID(words[1])
	u.Proxy = u.TLS && words[2] == "unbound"
	return u, err == nil, err
}

// Find returns the known hub at the place of u, whatever its key.
func (k Known) Find(u hub.URL) (known hub.URL, found bool, err error) {
	hubs, err := k.List()
	for _, known := range hubs {
		if samePlace(known, u) {
			return known, true, err
		}
	}
	return u, false, err
}

func samePlace(a, b hub.URL) bool { return a.TLS == b.TLS && a.Host == b.Host && a.Path == b.Path }

// Add appends a hub, whose key u has. For a place that is known already it changes
// nothing; there another key, or a proof that no longer names the connection, is an error
// with code [proto.Identity].
func (k Known) Add(u hub.URL) error {
	bare := u
	bare.Key, bare.Proxy = identity.ID{}, false
	bound := "bound"
	if u.Proxy || !u.TLS {
		bound = "unbound"
	}
	line := fmt.Sprintf("%s %s %s\n", bare, u.Key, bound)
	return k.edit(func(old hub.URL) (keep bool, err error) {
		if samePlace(old, u) {
			line = ""
			return true, Changed(old, u)
		}
		return true, nil
	}, &line)
}

// Changed returns an error with code [proto.Identity] if a hub is not the one that old
// is: it has another key, or its proof no longer names the connection.
func Changed(old, now hub.URL) error {
	hint := leaveAndJoin(old)
	switch {
	case old.Key != now.Key:
		err := proto.Errorf(proto.Identity, "hub %s is known with another key: %s, and now it has %s", old.Name(), old.Key, now.Key)
		return proto.Hint(err, hint)
	case now.Proxy && !old.Proxy:
		err := proto.Errorf(proto.Identity, "hub %s no longer proves its key for the connection: something in front of it may end TLS", old.Name())
		return proto.Hint(err, hint)
	}
	return nil
}

// Remove forgets the hub at the place of u, and reports whether it was known.
func (k Known) Remove(u hub.URL) (found bool, err error) {
	line := ""
	err = k.edit(func(old hub.URL) (bool, error) {
		same := samePlace(old, u)
		found = found || same
		return !same, nil
	}, &line)
	return found, err
}

// edit keeps the lines of the file for which keep is true, and appends *more. Lines that
// name no hub are kept.
func (k Known) edit(keep func(hub.URL) (bool, error), more *string) error {
	path := filepath.Join(k.Dir, KnownFile)
	return statefile.Edit(path, maxKnownBytes, func(old []byte) ([]byte, error) {
		var out bytes.Buffer
		for l := range strings.Lines(string(old)) {
			u, ok, err := parseKnown(l)
			if err != nil {
				return nil, proto.Errorf(proto.Config, "%s: %w", path, err)
			}
			if ok {
				if ok, err = keep(u); err != nil {
					return nil, err
				}
				if !ok {
					continue
				}
			}
			out.WriteString(strings.TrimSuffix(l, "\n") + "\n")
		}
		out.WriteString(*more)
		return out.Bytes(), nil
	})
}
