package cmdline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mesh/pipe/files"
	"mesh/proto"
)

// CheckFolder wants dir to be a folder that is there and that files can be stored
// in. It is not made: a slip of the pen would take a whole delivery elsewhere.
func CheckFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		hint := fmt.Sprintf("mkdir -p %q", dir)
		if slices.Contains(strings.Split(filepath.ToSlash(dir), "/"), "~") { // quoted, or in config.toml
			hint = "~ stands for a home in a shell alone: write its path"
		}
		return proto.Hint(proto.Errorf(proto.IO, "there is no folder %s", dir), hint)
	}
	if err != nil {
		return proto.IOError(err)
	}
	if !info.IsDir() {
		return proto.Errorf(proto.Unsafe, "%s is not a folder", dir)
	}
	return files.CheckStore(dir)
}
