package cmdline

import (
	"context"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// configFile is the name of the settings.
const configFile = "config.toml"

// Home returns the folder for state: $MESH_HOME, else $XDG_STATE_HOME/mesh, else
// ~/.local/state/mesh. The path is absolute. The folder need not exist.
func Home() (string, error) {
	dir := folder("XDG_STATE_HOME", ".local", "state")
	if dir == "" {
		why := "is not set"
		if os.Getenv("HOME") != "" {
			why = "is not an absolute path"
		}
		err := proto.Errorf(proto.Config, "no folder for state: HOME %s", why)
		return "", proto.Hint(err, "set MESH_HOME to a folder of your own")
	}
	abs, err := filepath.Abs(dir)
	if err != nil { // MESH_HOME alone may be relative
		return "", proto.Errorf(proto.Config, "MESH_HOME: %w", err)
	}
	return abs, nil
}

// configPath returns $MESH_HOME/config.toml, else $XDG_CONFIG_HOME/mesh/config.toml,
// else ~/.config/mesh/config.toml; "" when none of these variables is set.
func configPath() string {
	dir := folder("XDG_CONFIG_HOME", ".config")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, configFile)
}

// SocketDir returns the folder for the sockets of shared terminals:
// $XDG_RUNTIME_DIR/mesh, which belongs to this login alone, else a folder in
// [Home]. MESH_HOME holds everything if it is set.
func SocketDir() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && os.Getenv("MESH_HOME") == "" {
		return filepath.Join(dir, toolbox), nil
	}
	home, err := Home()
	return filepath.Join(home, "tty"), err
}

// folder returns $MESH_HOME, else the folder mesh in the one that the variable xdg
// names, else in the one below $HOME; "" when none of these variables is set. A
// relative path in the other two is ignored (XDG Base Directory Specification,
// "Basics").
func folder(xdg string, belowHome ...string) string {
	if dir := os.Getenv("MESH_HOME"); dir != "" {
		return dir
	}
	if dir := os.Getenv(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, toolbox)
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(append(append([]string{home}, belowHome...), toolbox)...)
	}
	return ""
}

// HomeAction returns the action of a command that works on the state folder. read turns
// arguments and flags into options and checks them. run does the work, in the folder home.
func HomeAction[O any](read func(*cli.Context) (O, error), run func(ctx context.Context, home string, o O, s Streams) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		o, err := read(c)
		if err != nil {
			return err
		}
		home, err := Home()
		if err != nil {
			return err
		}
		return run(c.Context, home, o, StreamsOf(c))
	}
}
