// Package config reads config.toml. The caller gives the keys and their types. Every
// error names the file, the line and the key.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"mesh/proto"
	"mesh/proto/statefile"
)

// maxBytes limits the size of the file.
const maxBytes = 1 << 20

// Kind is the type of a key's value.
type Kind int

// The kinds. A Size is a number or a text like "16M". A Count is a number, or true
// for 1. Texts is a text or a list of texts.
const (
	Text Kind = iota
	Number
	Bool
	Size
	Count
	List
	Texts
)

// String returns the kind as errors call it.
func (k Kind) String() string {
	return [...]string{"a text", "a number", "true or false", "a number or a text", "a number, true or false", "a list of texts", "a text or a list of texts"}[k]
}

// Value is the value of a key.
type Value struct {
	// Words is the value as text. A list has one word for each element.
	Words []string
	// Key is the whole name of the key, for example inbox.max-size.
	Key string
	// At is the file and the line: config.toml:12.
	At string
}

// Errorf returns an error with code [proto.Config] that names file, line and key.
func (v Value) Errorf(format string, args ...any) error {
	return proto.Errorf(proto.Config, "%s: %s: %w", v.At, v.Key, fmt.Errorf(format, args...))
}

// File holds the values of a config.toml. The zero value has none.
type File struct {
	values map[string]Value
	tables []Value
}

// Lookup returns the value of a key.
func (f *File) Lookup(key string) (Value, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Tables returns the tables directly below the table in, for example each
// [peers.NAME] below peers, in the order of their first lines. The word of each is
// its own name.
func (f *File) Tables(in string) []Value {
	var found []Value
	for _, t := range f.tables {
		if strings.HasPrefix(t.Key, in+".") {
			found = append(found, t)
		}
	}
	return found
}

// Load reads the file at path as [Parse] does. A file that does not exist has no
// values. A file that other users may write is refused, because it may name commands
// to run: see [statefile.Read].
func Load(path string, keys map[string]Kind) (*File, error) {
	text, err := statefile.Read(path, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return new(File), nil
	}
	if err != nil {
		return nil, err
	}
	return Parse(path, text, keys)
}

// Parse reads text; errors call the file path. A part "*" of a key in keys stands for
// any name. Errors have code [proto.Config].
func Parse(path string, text []byte, keys map[string]Kind) (*File, error) {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := e.Position()
			return nil, proto.Errorf(proto.Config, "%s:%d: %s", path, line, strings.TrimPrefix(e.Error(), "toml: "))
		}
		return nil, proto.Errorf(proto.Config, "%s: %w", path, err)
	}
	l := &loader{path: path, keys: keys, tree: tree, file: &File{values: make(map[string]Value)}}
	if err := l.walk(text); err != nil {
		return nil, err
	}
	return l.file, nil
}

// loader is one run of [Parse]. The values come from the tree. The walk over the
// syntax finds their lines.
type loader struct {
	path string
	keys map[string]Kind
	tree map[string]any
	file *File
}

func (l *loader) walk(text []byte) error {
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		name, line := nameOf(&p, e, text)
		switch e.Kind {
		case unstable.KeyValue:
			if err := l.addValue(&p, append(slices.Clone(table), name...), line, e.Value(), text); err != nil {
				return err
			}
		case unstable.Table, unstable.ArrayTable:
			table = name
			if err := l.addTable(table, line); err != nil {
				return err
			}
		}
	}
	return p.Error()
}

// nameOf returns the parts of the name of a table or a key, and its line.
func nameOf(p *unstable.Parser, e *unstable.Node, text []byte) (name []string, line int) {
	for it := e.Key(); it.Next(); {
		n := it.Node()
		if line == 0 {
			line = 1 + bytes.Count(text[:n.Raw.Offset], []byte("\n"))
		}
		name = append(name, string(n.Data))
	}
	return name, line
}

func (l *loader) at(line int) string { return fmt.Sprintf("%s:%d", l.path, line) }

// addTable adds the table called name, unless it is there already. It refuses a table
// that no key is in.
func (l *loader) addTable(name []string, line int) error {
	t := Value{Words: name[len(name)-1:], Key: dotted(name), At: l.at(line)}
	for key := range l.keys {
		if parts := strings.Split(key, "."); len(parts) > len(name) && matches(parts[:len(name)], name) {
			if !slices.ContainsFunc(l.file.tables, func(o Value) bool { return o.Key == t.Key }) {
				l.file.tables = append(l.file.tables, t)
			}
			return nil
		}
	}
	return proto.Errorf(proto.Config, "%s: unknown table [%s]", t.At, t.Key)
}

// matches reports whether name has the parts of a key, where "*" stands for any part.
func matches(parts, name []string) bool {
	return slices.EqualFunc(parts, name, func(part, n string) bool { return part == n || part == "*" })
}

// addValue adds the value of the key called name, or all values of an inline table.
func (l *loader) addValue(p *unstable.Parser, name []string, line int, n *unstable.Node, text []byte) error {
	if n.Kind == unstable.InlineTable {
		if err := l.addTable(name, line); err != nil {
			return err
		}
		for it := n.Children(); it.Next(); {
			kv := it.Node()
			inner, line := nameOf(p, kv, text)
			if err := l.addValue(p, append(slices.Clone(name), inner...), line, kv.Value(), text); err != nil {
				return err
			}
		}
		return nil
	}
	for i := 1; i < len(name); i++ { // peers.bob.via defines the table peers.bob too
		if err := l.addTable(name[:i], line); err != nil {
			return err
		}
	}
	v := Value{Key: dotted(name), At: l.at(line)}
	for key, kind := range l.keys {
		if !matches(strings.Split(key, "."), name) {
			continue
		}
		var ok bool
		if v.Words, ok = words(l.treeValue(name), kind); !ok {
			return v.Errorf("want %s", kind)
		}
		l.file.values[v.Key] = v
		return nil
	}
	if top := name[len(name)-1]; len(name) > 1 && l.keys[top] != 0 {
		return proto.Hint(v.Errorf("unknown key"), top+" stands at the top of the file, before the first [table]")
	}
	return v.Errorf("unknown key")
}

// treeValue returns the value of the key called name, or nil if the key is in a list
// of tables.
func (l *loader) treeValue(name []string) any {
	var at any = l.tree
	for _, n := range name {
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[n]
	}
	return at
}

// words returns a value as text. ok is false if the value is not of the kind.
func words(value any, kind Kind) (text []string, ok bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, kind == Text || kind == Size || kind == Texts
	case int64:
		return []string{fmt.Sprint(v)}, kind == Number || kind == Size || kind == Count
	case bool:
		return []string{fmt.Sprint(v)}, kind == Bool || kind == Count
	case []any:
		list := []string{}
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, kind == List || kind == Texts
	}
	return nil, false
}

// dotted returns a name as errors show it. Parts of known keys have no dots.
func dotted(name []string) string {
	return proto.EscapeText(strings.Join(name, "."))
}
