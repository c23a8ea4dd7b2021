package exclude

import "strings"

// pattern is one pattern of a [List].
type pattern struct {
	text, origin string
	negated      bool   // it takes back in
	folders      bool   // it matches folders alone
	anywhere     bool   // it has no slash: it matches the last name of a path
	parts        []part // between slashes
}

// part is what a pattern says about one name of a path, or about several.
type part struct {
	deep   bool // "**": any number of names, also none
	tokens []token
}

// parse returns a pattern, and nil for one that matches nothing.
func parse(text string) *pattern {
	p := &pattern{text: text}
	rest, negated := strings.CutPrefix(text, "!")
	p.negated = negated
	rest, p.folders = strings.CutSuffix(rest, "/")
	p.anywhere = !strings.Contains(rest, "/")
	tokens, ok := scan(strings.TrimPrefix(rest, "/"))
	if !ok || len(tokens) == 0 {
		return nil
	}
	p.parts = split(tokens)
	if p.anywhere {
		p.parts = []part{{tokens: tokens}}
	}
	return p
}

// split divides tokens at their slashes.
func split(tokens []token) (parts []part) {
	last := 0
	for i := 0; i <= len(tokens); i++ {
		if i < len(tokens) && !tokens[i].isSlash() {
			continue
		}
		between := tokens[last:i]
		parts = append(parts, part{tokens: between, deep: len(between) == 1 && between[0].kind == stars})
		last = i + 1
	}
	if end := parts[len(parts)-1]; end.deep { // at least one name follows
		parts = append(parts, part{tokens: []token{{kind: star}}})
	}
	return parts
}

// matches reports whether the pattern matches the path with these names.
func (p *pattern) matches(names []string, folder bool) bool {
	switch {
	case p.folders && !folder:
		return false
	case p.anywhere:
		return matchName(p.parts[0].tokens, names[len(names)-1])
	}
	return matchPath(p.parts, names)
}

// matchPath matches parts with names. On a mismatch it lets the last "**" have one more
// name: an earlier one need never have more.
func matchPath(parts []part, names []string) bool {
	i, j, again, from := 0, 0, -1, 0
	for i < len(parts) || j < len(names) {
		switch {
		case i < len(parts) && parts[i].deep:
			again, from = i, j
			i++
		case i < len(parts) && j < len(names) && matchName(parts[i].tokens, names[j]):
			i++
			j++
		case again >= 0 && from < len(names):
			from++
			i, j = again+1, from
		default:
			return false
		}
	}
	return true
}

// matchName matches tokens with a name, as matchPath does with parts.
func matchName(tokens []token, name string) bool {
	i, j, again, from := 0, 0, -1, 0
	for i < len(tokens) || j < len(name) {
		switch {
		case i < len(tokens) && tokens[i].isStar():
			again, from = i, j
			i++
		case i < len(tokens) && j < len(name) && tokens[i].matches(name[j]):
			i++
			j++
		case again >= 0 && from < len(name):
			from++
			i, j = again+1, from
		default:
			return false
		}
	}
	return true
}
