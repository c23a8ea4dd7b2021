package files

import (
	"mesh/pipe/files/exclude"
	"mesh/proto"
)

// exclusion is what a finder leaves out because of patterns.
type exclusion struct {
	patterns *exclude.List
	report   func(path, why string) // may be nil
	count    int64
}

func newExclusion(o SendOptions) exclusion { return exclusion{patterns: o.Exclude, report: o.Excluded} }

// excludes reports whether an entry is left out, and counts it then. The patterns are for
// its path in the folder that the user gave.
func (e *exclusion) excludes(path, inFolder string, folder bool) bool {
	why, excluded := e.patterns.Excludes(inFolder, folder)
	if !excluded {
		return false
	}
	e.count++
	if e.report != nil {
		if path = proto.EscapeText(path); folder {
			path += "/"
		}
		e.report(path, proto.EscapeText(why))
	}
	return true
}

// excluded implements [finder].
func (e *exclusion) excluded() int64 { return e.count }
