package node_test

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/node"
)

// A comma separates PEERs, but belongs to the name of the only @FILE if that file is there.
func TestPeersOfFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a,b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tok,en")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		list string
		want int // peers
	}{
		{"@" + file, 1},
		{"@" + file + ",bob", 4},
		{"bob,@" + file, 4},
		{"@" + file + "2", 3},
		{"bob,alice", 2},
		{"bob", 1},
	} {
		peers, _, err := node.PeersOf([]string{tt.list}, "")
		if err != nil || len(peers) != tt.want {
			t.Errorf("%s: got %v, %v, want %d peers", tt.list, peers, err, tt.want)
		}
	}
	_, _, err := node.PeersOf([]string{"bob,,alice"}, "")
	xtest.WantCode(t, "an empty PEER", err, proto.Usage)
}
