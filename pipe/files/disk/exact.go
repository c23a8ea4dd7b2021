package disk

import (
	"crypto/rand"
	"slices"
	"strings"
)

// HasOther reports whether the entry that a name leads to is stored under another name,
// for example in other case, and returns the stored name if it is found. The entry must
// exist. Listing a folder takes time, so the folder is listed only where a probe shows
// that its file system takes some names for one.
func (f *Folder) HasOther(name string) (other string, is bool, err error) {
	if f.isExact.Load() || f.keepsNamesApart() {
		f.isExact.Store(true)
		return "", false, nil
	}
	dir, err := f.root.Open(".")
	if err != nil {
		return "", false, err
	}
	defer dir.Close()
	all, err := dir.Readdirnames(-1)
	if err != nil || slices.Contains(all, name) {
		return "", false, err
	}
	i := slices.IndexFunc(all, func(n string) bool { return f.isOneFile(n, name) })
	if i < 0 { // the numbers of files may say nothing
		i = slices.IndexFunc(all, func(n string) bool { return strings.EqualFold(n, name) })
	}
	if i < 0 {
		return "", true, nil
	}
	return all[i], true, nil
}

// keepsNamesApart reports whether an empty temporary file is found under its own name
// alone: neither in other case, nor in another normal form, nor without a character
// that some file systems ignore. The folder keeps its time.
func (f *Folder) keepsNamesApart() bool {
	before, berr := f.root.Stat(".")
	prefix := TempPrefix + rand.Text()[:12] + "-"
	probe, err := f.CreateTemp(prefix+"a\u00e9\u00ad"+tempSuffix, 0o600)
	if err != nil {
		return false
	}
	defer func() {
		_ = probe.Remove()
		if berr == nil {
			_ = setTime(f.root, ".", before.ModTime())
		}
	}()
	return !slices.ContainsFunc([]string{"A\u00e9\u00ad", "a\u00c9\u00ad", "ae\u0301\u00ad", "a\u00e9"}, func(variant string) bool {
		_, err := f.root.Lstat(prefix + variant + tempSuffix)
		return err == nil
	})
}
