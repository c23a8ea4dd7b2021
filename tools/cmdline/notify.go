package cmdline

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mesh/proto"
	"mesh/tools/config"
	"mesh/tools/notify"
)

// ReadNotify reads the table [notify] from the environment and config.toml. Without a
// channel the settings tell nothing.
func ReadNotify() (notify.Settings, error) {
	s := notify.Settings{Repeat: notify.DefaultRepeat}
	path, file := configPath(), new(config.File)
	if path != "" {
		var err error
		if file, err = config.Load(path, keys()); err != nil {
			return s, err
		}
	}
	set := make(map[string]config.Value) // by the keys below notify
	for _, row := range Settings {
		if name, ok := strings.CutPrefix(row.Key, "notify."); ok {
			v, found := fromEnv(row)
			if !found {
				v, found = file.Lookup(row.Key)
			}
			if found {
				set[name] = v
			}
		}
	}
	r := notifyReader{set: set, dir: filepath.Dir(path)}
	r.word("on", &s.On, notify.Words...)
	if v, ok := set["repeat"]; ok {
		var d Duration
		if err := d.Set(v.Words[0]); err != nil || d < 0 {
			r.fail(v.Errorf("want a time like 12h or 1d"))
		}
		s.Repeat = time.Duration(d)
	}
	names := true
	r.truth("names", &names)
	s.HideNames = !names
	for _, kind := range notify.Kinds {
		if c, ok := r.channel(kind); ok {
			s.Channels = append(s.Channels, c)
		}
	}
	return s, r.err
}

// notifyReader reads the keys of [notify]. The first mistake counts.
type notifyReader struct {
	set map[string]config.Value
	dir string // of config.toml, beside which the secrets are
	err error
}

func (r *notifyReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// word reads one of some words; without words, any text.
func (r *notifyReader) word(key string, to *string, words ...string) {
	v, ok := r.set[key]
	if !ok {
		return
	}
	if *to = v.Words[0]; *to == "" || len(words) > 0 && !slices.Contains(words, *to) {
		if len(words) == 0 {
			words = []string{"a text"}
		}
		r.fail(v.Errorf("want %s", strings.Join(words, " or ")))
	}
}

func (r *notifyReader) truth(key string, to *bool) {
	if v, ok := r.set[key]; ok {
		var err error
		if *to, err = truth(v); err != nil {
			r.fail(err)
		}
	}
}

func (r *notifyReader) file(key string, to *string) {
	if r.word(key, to); *to != "" && !filepath.IsAbs(*to) {
		*to = filepath.Join(r.dir, *to)
	}
}

// channel reads the table of one channel. ok is false if there is none.
func (r *notifyReader) channel(kind string) (c notify.Channel, ok bool) {
	c.Kind = kind
	if kind == notify.Command {
		r.word(kind, &c.Command)
		return c, c.Command != ""
	}
	var first config.Value // of the table, for the place
	for key, v := range r.set {
		if strings.HasPrefix(key, kind+".") && (first.Key == "" || v.At < first.At) {
			first = v
		}
	}
	if first.Key == "" {
		return c, false
	}
	r.truth(kind+".plain", &c.Insecure)
	r.file(kind+".ca-file", &c.CAFile)
	r.file(kind+".url-file", &c.URLFile)
	r.file(kind+".token-file", &c.SecretFile)
	r.file(kind+".secret-file", &c.SecretFile)
	style := ""
	r.word(kind+".style", &style, "healthchecks", "plain")
	c.Successes = style == "plain"
	r.word(kind+".url", &c.URL)
	if v, ok := r.set[kind+".url"]; ok {
		if err := c.CheckURL(c.URL); err != nil {
			r.fail(v.Errorf("%w", err))
		}
	}
	missing := ""
	switch {
	case kind == notify.Ping && c.URLFile == "":
		missing = "url-file"
	case kind != notify.Ping && c.URL == "":
		missing = "url"
	case kind == notify.Gotify && c.SecretFile == "":
		missing = "token-file"
	}
	if missing != "" {
		r.fail(proto.Errorf(proto.Config, "%s: notify.%s: %s is missing", first.At, kind, missing))
	}
	return c, true
}
