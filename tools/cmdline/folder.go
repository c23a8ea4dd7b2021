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

// CheckFolder returns an error unless dir is a folder that files can be stored in. It
// does not create the folder: with a typing mistake in dir a whole delivery would go
// to the wrong place.
func CheckFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		hint := fmt.Sprintf("mkdir -p %q", dir)
		if slices.Contains(strings.Split(filepath.ToSlash(dir), "/"), "~") { // quoted, or in config.toml
			hint = "only a shell replaces ~ by your home folder: write the whole path"
		}
		return proto.Hint(proto.Errorf(proto.IO, "there is no folder %s", proto.QuoteText(dir)), hint)
	}
	if err != nil {
		return proto.IOError(err)
	}
	if !info.IsDir() {
		return proto.Errorf(proto.Unsafe, "%s is not a folder", proto.QuoteText(dir))
	}
	return files.CheckStore(dir)
}
