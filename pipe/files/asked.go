package files

import (
	"path"
	"slices"
	"strings"

	"mesh/proto"
	"mesh/proto/wire"
)

// CheckTakeNames returns the names of offered files in the form in which a receiver asks
// for them. The error of a name that nothing offered can have has code [proto.Usage].
func CheckTakeNames(names []string) ([]string, error) {
	var clean []string
	for _, name := range names {
		switch c := path.Clean(name); {
		case name == "" || path.IsAbs(name) || c == "." || c == ".." || strings.HasPrefix(c, "../"):
			return nil, proto.Errorf(proto.Usage, "NAME is a path inside what the peer offers, and %q is not", name)
		case len(c) > proto.MaxPathBytes:
			return nil, proto.Errorf(proto.Usage, "a NAME is longer than %d bytes", proto.MaxPathBytes)
		case !slices.Contains(clean, c):
			clean = append(clean, c)
		}
	}
	if len(clean) > proto.MaxTakeNames || len(wire.AppendBody(nil, &wire.Take{Names: clean[:min(len(clean), proto.MaxTakeNames)]})) > proto.MaxControlFrameBytes-takeOverhead {
		return nil, proto.Hint(proto.Errorf(proto.Usage, "more than %d NAMEs, or longer than %d bytes together", proto.MaxTakeNames, proto.MaxControlFrameBytes-takeOverhead),
			"the name of a folder stands for all that is in it")
	}
	return clean, nil
}

// takeOverhead is room for the other fields of a FILES_TAKE.
const takeOverhead = 64

// asked is what a receiver has asked for. A nil asked is all that is offered.
type asked struct {
	names []string
	came  []bool           // for each name, whether its entry came
	of    map[string][]int // indexes of the names that mean a path
	above map[string]bool  // the folders that these paths are in
	begun bool             // see takesFirst
}

func newAsked(names []string) *asked {
	if len(names) == 0 {
		return nil
	}
	a := &asked{names: names, came: make([]bool, len(names)), of: make(map[string][]int), above: make(map[string]bool)}
	for i, name := range names {
		a.addPath(name, i)
	}
	return a
}

// addPath lets a name mean a path. It ignores one that no entry can have: names from a
// receiver are not checked.
func (a *asked) addPath(p string, i int) {
	if path.Clean(p) != p || strings.Count(p, "/") >= proto.MaxDepth {
		return
	}
	a.of[p] = append(a.of[p], i)
	for dir := path.Dir(p); dir != "." && dir != "/" && !a.above[dir]; dir = path.Dir(dir) {
		a.above[dir] = true
	}
}

// addTop lets the names that do not begin with the name of the only folder at the top
// also stand for paths in it.
func (a *asked) addTop(top string) {
	for i, name := range a.names {
		if first, _, _ := strings.Cut(name, "/"); first != top {
			a.addPath(top+"/"+name, i)
		}
	}
}

// takes reports whether an entry was asked for, or is a folder that one which was asked
// for is in. It notes that the entry came.
func (a *asked) takes(p, kind string) bool {
	if a == nil {
		return true
	}
	if strings.Count(p, "/") >= proto.MaxDepth {
		return false
	}
	if indexes, found := a.of[p]; found {
		for _, i := range indexes {
			a.came[i] = true
		}
		return true
	}
	for i := range len(p) {
		if p[i] == '/' && a.of[p[:i]] != nil {
			return true
		}
	}
	return kind == wire.EntryFolder && a.above[p]
}

// takesFirst is takes at the receiver, which learns the name at the top from the first
// entry.
func (a *asked) takesFirst(p, kind string) bool {
	if a != nil && !a.begun {
		a.begun = true
		top, _, _ := strings.Cut(p, "/")
		a.addTop(top)
	}
	return a.takes(p, kind)
}

// isAbove reports whether a path is only a folder that something asked for is in.
func (a *asked) isAbove(p string) bool { return a != nil && a.above[p] && a.of[p] == nil }

// missing returns the names for which nothing came.
func (a *asked) missing() []string {
	var missing []string
	for i := 0; a != nil && i < len(a.names); i++ {
		if !a.came[i] {
			missing = append(missing, a.names[i])
		}
	}
	return missing
}

// filter is a finder of what was asked for. It finds a folder that is above that only
// with the first entry in it, so that nothing is sent for a name that is not there.
type filter struct {
	finder
	asked *asked
	above []*item // folders that the walk is in and that were not returned yet
	found []*item // to be returned
}

// next implements [finder]. What was not asked for is no error either.
func (f *filter) next() *item {
	for len(f.found) == 0 {
		it := f.finder.next()
		if it == nil {
			return nil
		}
		for len(f.above) > 0 && !strings.HasPrefix(it.path, f.above[len(f.above)-1].path+"/") {
			f.above = f.above[:len(f.above)-1]
		}
		switch {
		case f.asked.isAbove(it.path) && it.inside != nil:
			f.above = append(f.above, it)
		case f.asked.takes(it.path, it.kind), it.err != nil && f.asked.above[it.path]:
			f.found = append(f.above, it)
			f.above = nil
		case it.inside != nil:
			f.finder.prune(it.inside)
		}
	}
	it := f.found[0]
	f.found = f.found[1:]
	return it
}

// prune implements [finder].
func (f *filter) prune(l *level) {
	f.found = slices.DeleteFunc(f.found, func(it *item) bool { return strings.HasPrefix(it.path, l.path+"/") })
	f.finder.prune(l)
}
