package files

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"mesh/pipe/files/disk"
	"mesh/proto"
)

// maxCopies bounds the numbers that --rename tries.
const maxCopies = 10000

// publishPart gives a durable file its name and returns that name. Without force
// and number, a name that is taken is [ErrIsThere]. A rival is never replaced.
func publishPart(p *part, force, number bool) (string, error) {
	if err := checkRivals(p.folder.disk, p.name, p.rivals); err != nil {
		return "", err
	}
	if force {
		if info, err := p.folder.disk.Lstat(p.name); err == nil {
			if err := checkReplace(p.folder.disk, p.name, info); err != nil {
				return "", err
			}
			return p.name, p.temp.Replace(p.name)
		}
	}
	return publishNumbered(p.temp, p.name, number)
}

// checkReplace fails if --force may not replace what info describes and a name leads
// to: it is neither a file nor a link, or it has another name, which the file system
// takes for this one.
func checkReplace(in *disk.Folder, name string, info fs.FileInfo) error {
	if !isReplaceable(info) {
		return ErrIsThere
	}
	other, is, err := in.HasOther(name)
	if is {
		return takenError{other}
	}
	return err
}

// isReplaceable reports whether --force may replace what info describes: a file,
// or a link, which is not followed.
func isReplaceable(info fs.FileInfo) bool {
	return info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0
}

// publishNumbered gives a file its name, or if that is taken and number is set,
// the name with the next free number. It returns the name.
func publishNumbered(t *disk.Temp, name string, number bool) (string, error) {
	as := name
	for n := 2; ; n++ {
		err := t.Publish(as)
		if !errors.Is(err, fs.ErrExist) {
			return as, err
		}
		if !number || n == maxCopies {
			return "", ErrIsThere
		}
		if as = addNumber(name, n); len(as) > proto.MaxNameBytes {
			return "", ErrIsThere
		}
	}
}

// addNumber returns "name (2).ext".
func addNumber(name string, n int) string {
	ext := path.Ext(name)
	base := strings.TrimSuffix(name, ext)
	if base == "" {
		base, ext = ext, ""
	}
	return base + " (" + strconv.Itoa(n) + ")" + ext
}
