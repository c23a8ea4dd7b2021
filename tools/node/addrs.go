package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/outfile"
)

// addrsFile in the state folder holds where the node's long-lived listener was
// last found, one address a line, for the tokens that mesh-token makes.
const addrsFile = "listener_addrs"

func writeAddrs(dir string, addrs []string) error {
	return outfile.Write(filepath.Join(dir, addrsFile), []byte(strings.Join(addrs, "\n")+"\n"), 0o600)
}

// ListenerAddrs returns the addresses of the mesh-listen that was started last
// with this state folder, or none.
func ListenerAddrs(book identity.Book) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(book.Dir, addrsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &proto.Error{Code: proto.Config, Err: err}
	}
	return strings.Fields(string(text)), nil
}
