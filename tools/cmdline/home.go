package cmdline

import (
	"os"
	"path/filepath"

	"mesh/proto"
)

// Home returns the folder for state: $MESH_HOME, else $XDG_STATE_HOME/mesh,
// else ~/.local/state/mesh. It creates nothing. The path is absolute. A relative
// XDG_STATE_HOME is to be ignored (XDG Base Directory Specification, "Basics").
func Home() (string, error) {
	if dir := os.Getenv("MESH_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", proto.Errorf(proto.Config, "MESH_HOME: %w", err)
		}
		return abs, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, toolbox), nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		why := "is not set"
		if home != "" {
			why = "is no path from / on"
		}
		err := proto.Errorf(proto.Config, "no folder for state: HOME %s", why)
		return "", proto.Hint(err, "set MESH_HOME to a folder of your own")
	}
	return filepath.Join(home, ".local", "state", toolbox), nil
}
