package cmdline

import (
	"os"
	"path/filepath"

	"mesh/proto"
)

// Home returns the folders for settings and for state: $MESH_HOME for both,
// else $XDG_CONFIG_HOME/mesh (~/.config/mesh) and $XDG_STATE_HOME/mesh
// (~/.local/state/mesh). It creates nothing. Both paths are absolute.
func Home() (config, state string, err error) {
	if dir := os.Getenv("MESH_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", "", proto.Errorf(proto.Config, "MESH_HOME: %w", err)
		}
		return abs, abs, nil
	}
	if config, err = xdg("XDG_CONFIG_HOME", ".config"); err != nil {
		return "", "", err
	}
	if state, err = xdg("XDG_STATE_HOME", ".local", "state"); err != nil {
		return "", "", err
	}
	return config, state, nil
}

// xdg is the folder mesh in the one that the variable names. A relative value
// is to be ignored (XDG Base Directory Specification, "Basics").
func xdg(variable string, fallback ...string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, toolbox), nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		err := proto.Errorf(proto.Config, "no folder for settings and state: HOME is not set")
		return "", Hint(err, "set MESH_HOME to a folder of your own")
	}
	return filepath.Join(append(append([]string{home}, fallback...), toolbox)...), nil
}
