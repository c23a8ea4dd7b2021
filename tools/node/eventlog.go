package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
)

// eventWords are the messages for events in a log. What is not here is not logged.
var eventWords = map[string]string{
	"listening": "waiting for peers", "online": "at the hub", "code": "a code is open", "paired": "paired",
	"peer": "peer linked", "broken": "link broke", "resumed": "link resumed", "path": "another path",
	"stored": "stored", "receipt": "transferred", "delivery": "delivery ended",
	"reload": "settings read again", "end": "ended",
}

// unlogged are the fields of events that a log does not have: it has a time of its own,
// and its readers must not get the rights that tokens and codes give.
var unlogged = map[string]bool{"time": true, "token": true, "short_code": true}

// logEvent logs an event. One that has failed is not logged: the tool reports the error,
// with [Party.About]. How the tool itself has ended is an event all the same.
func (r *reporter) logEvent(e event) {
	words := eventWords[e.Event]
	if r.log == nil || words == "" || e.Event != "end" && e.Code != nil && *e.Code != 0 {
		return
	}
	r.log.LogAttrs(context.Background(), slog.LevelInfo, words, e.attrs()...)
}

// attrs returns the fields of an event, in their order and with their names there.
func (e event) attrs() (attrs []slog.Attr) {
	fields := reflect.ValueOf(e)
	for i := range fields.NumField() {
		v, f := fields.Field(i), fields.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if v.IsZero() || unlogged[name] {
			continue
		}
		attrs = append(attrs, slog.Any(name, logValue(reflect.Indirect(v))))
	}
	return attrs
}

// logValue returns a text, a number, or what else is one value in JSON.
func logValue(v reflect.Value) any {
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		return err
	}
	var text string
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	case json.Unmarshal(raw, &text) == nil:
		return text
	}
	return json.RawMessage(raw)
}

// About returns the fields of an event about the peer, for an error that a log has.
func (p Party) About(event string) (about []any) {
	for _, a := range partyEvent(event, p).attrs() {
		about = append(about, a)
	}
	return about
}
