package cmdline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/outfile"
)

// installCommand is "mesh install".
func (r *run) installCommand() *cli.Command {
	return &cli.Command{
		Name:  "install",
		Usage: "make the links mesh-TOOL to this binary",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "make them in `DIR`", DefaultText: "the folder of the binary"},
		},
		Action: func(c *cli.Context) error {
			if _, err := Args(c, 0, 0); err != nil {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return proto.IOError(err)
			}
			var names []string
			for _, construct := range r.tools {
				names = append(names, toolbox+"-"+construct().Name)
			}
			return install(binary, c.String("dir"), names)
		},
	}
}

// install makes the symbolic links in dir. It makes none of them if one of the names
// is taken by anything but a link to mesh.
func install(binary, dir string, names []string) error {
	home, target := filepath.Dir(binary), binary
	if dir == "" {
		dir = home
	}
	there, err := os.Stat(dir)
	if err != nil {
		return proto.IOError(err)
	}
	if here, err := os.Stat(home); err == nil && os.SameFile(here, there) {
		target = filepath.Base(binary) // relative, so that the folder can be moved
	}
	ours := make([]bool, len(names))
	for i, name := range names {
		if ours[i], err = isOurs(filepath.Join(dir, name), filepath.Base(binary)); err != nil {
			return err
		}
	}
	for i, name := range names {
		if err := link(target, filepath.Join(dir, name), ours[i]); err != nil {
			return proto.IOError(err)
		}
	}
	return nil
}

// isOurs reports whether path is a link to a file called binary: false if nothing is
// there, and an error if anything else is.
func isOurs(path, binary string) (bool, error) {
	i, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, proto.IOError(err)
	}
	if i.Mode()&fs.ModeSymlink != 0 {
		if to, err := os.Readlink(path); err == nil && filepath.Base(to) == binary {
			return true, nil
		}
	}
	err = proto.Errorf(proto.Unsafe, "%s exists and is not a link to %s", path, binary)
	return false, proto.Hint(err, "move it away, or choose another folder with --dir")
}

// link makes the link path. It replaces an older one in one step, so that the
// tool is never missing; else it fails if anything has that name by now.
func link(target, path string, replace bool) error {
	if replace {
		return outfile.Symlink(target, path)
	}
	return os.Symlink(target, path)
}
