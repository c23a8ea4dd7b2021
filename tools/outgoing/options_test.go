package outgoing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mesh/proto"
	"mesh/proto/xtest"
)

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there, twin := filepath.Join(dir, "f"), filepath.Join(dir, "d", "f")
	if err := os.Mkdir(filepath.Dir(twin), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{there, twin} {
		if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		o    Options
		code proto.Code
	}{
		{Options{Names: []string{there, dir}}, proto.OK},
		{Options{Names: []string{there, filepath.Join(dir, "none")}}, proto.IO},
		{Options{Names: []string{there, twin}}, proto.Usage}, // under one name
		{Options{Names: []string{"/"}}, proto.Usage},         // under none
		{Options{Archive: true, Names: []string{filepath.Join(dir, "none.zip")}}, proto.IO},
		{Options{Archive: true, Names: []string{there}}, proto.Usage}, // neither zip nor tar
	} {
		xtest.WantCode(t, strings.Join(tt.o.Names, " "), tt.o.CheckFiles("mesh-cat PEER"), tt.code)
	}
}
