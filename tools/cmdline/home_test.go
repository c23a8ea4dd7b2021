package cmdline_test

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/proto"
	"mesh/tools/cmdline"
)

func TestHome(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		mesh, state, home string
		want              string
		code              proto.Code
	}{
		{mesh: "/m", state: "/s", home: "/h", want: "/m"},
		{mesh: "m", want: filepath.Join(dir, "m")},
		{home: "/h", want: "/h/.local/state/mesh"},
		{state: "/s", home: "/h", want: "/s/mesh"},
		{state: "/s", want: "/s/mesh"}, // a service may have no HOME
		{state: "s", home: "/h", want: "/h/.local/state/mesh"},
		{state: "s", code: proto.Config},
		{home: "h", code: proto.Config},
		{code: proto.Config},
	} {
		t.Setenv("MESH_HOME", tt.mesh)
		t.Setenv("XDG_STATE_HOME", tt.state)
		t.Setenv("HOME", tt.home)
		got, err := cmdline.Home()
		if got != tt.want || proto.CodeOf(err) != tt.code {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
}
