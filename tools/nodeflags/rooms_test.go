package nodeflags

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/cmdline"
	"mesh/tools/config"
	"mesh/tools/node"
)

// A rule for a room has an owner, and gives no control of a terminal. Errors name file, line
// and key.
func TestReadRooms(t *testing.T) {
	t.Parallel()
	owner := xtest.NewKey(t).ID()
	keys := map[string]config.Kind{"rooms.*.owner": config.Text, "rooms.*.allow": config.Text}
	for text, want := range map[string]string{ // an error, or "" for one rule
		"[rooms.ops]\nowner = \"OWNER\"\nallow = \"send\"":                                "",
		"rooms.ops = {owner = \"OWNER\", allow = \"send,tty:view\"}":                      "",
		"[rooms.\"ops.eu\"]\nowner = \"OWNER\"\nallow = \"recv\"":                         "",
		"[rooms.ops]\nowner = \"OWNER\"":                                                  "",
		"[rooms.ops]\nallow = \"send\"":                                                   "config.toml:2: rooms.ops.allow: the room has no owner",
		"[rooms.ops]\nallow = \"send,tty:control\"\nowner = \"OWNER\"":                    "config.toml:2: rooms.ops.allow: tty:control is not given to rooms",
		"[rooms.ops]\nallow = \"everything\"\nowner = \"OWNER\"":                          "config.toml:2: rooms.ops.allow: ",
		"[rooms.ops]\nallow = \"send\"\nowner = \"alice\"":                                "config.toml:3: rooms.ops.owner: not a node id",
		"[rooms.Ops]\nowner = \"OWNER\"":                                                  "config.toml:1: rooms.Ops: room \"Ops\"",
		"[rooms.ops]\nowner = \"OWNER\"\nallow = \"send\"\n[rooms.dev]\nallow = \"recv\"": "config.toml:5: rooms.dev.allow: the room has no owner",
	} {
		file, err := config.Parse("config.toml", []byte(strings.ReplaceAll(text, "OWNER", owner.String())), keys)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		rules, err := readRooms(file)
		if want == "" {
			if err != nil || len(rules) != 1 || rules[0].Owner != owner || !strings.HasPrefix(rules[0].Room, "ops") {
				t.Errorf("%s: got %+v, %v, want one rule", text, rules, err)
			}
			continue
		}
		xtest.WantCode(t, text, err, proto.Config)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// The rules are those of the file of now.
func TestRoomRulesChange(t *testing.T) {
	home := t.TempDir()
	t.Setenv("MESH_HOME", home)
	owner := xtest.NewKey(t).ID()
	path := filepath.Join(home, "config.toml")
	r := &roomRules{file: cmdline.Watched{}}
	want := func(what string, code proto.Code, rules ...node.RoomRule) {
		t.Helper()
		got, err := r.now()
		if xtest.WantCode(t, what, err, code); !slices.Equal(got, rules) {
			t.Errorf("%s: got %+v, want %+v", what, got, rules)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	rule := node.RoomRule{Room: "ops", Owner: owner, Allow: proto.CapSend}
	want("no file", proto.OK)
	write("[rooms.ops]\nowner = \"" + owner.String() + "\"\nallow = \"send\"\n")
	for range 2 {
		want("a rule", proto.OK, rule)
	}
	write("[rooms.ops]\nallow = \"send\"\n")
	for range 2 {
		want("a mistake", proto.Config)
	}
	write("# none\n")
	want("no rule", proto.OK)
	write("[rooms.ops]\nowner = \"" + owner.String() + "\"\nallow = \"send\"\n")
	want("the rule again", proto.OK, rule)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("the file is gone", proto.OK)
}
