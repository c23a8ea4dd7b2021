package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh/pipe"
	"mesh/pipe/digest"
	"mesh/proto"
)

// TestEventLog fills each field of an event. The log must have all of them as the event
// has, but for the secrets.
func TestEventLog(t *testing.T) {
	t.Parallel()
	n := int64(7)
	code, status, sum, expires := proto.OK, 0, digest.Sum(nil), time.Unix(1, 0).UTC()
	e := event{
		Expires: &expires, BLAKE3: &sum, Status: &status, Paths: []pipe.PathBytes{{Path: "relay", Bytes: 7}}, Code: &code,
		MS: &n, Sent: &n, Received: &n, Done: &n, ETA: &n, Bytes: &n, Files: &n, Skipped: &n, Stored: &n, MaxBPS: 1 << 60, Seconds: 0.5, Flows: 2, Excluded: 3, Total: 9,
	}
	fields := reflect.ValueOf(&e).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String {
			f.SetString("v-" + fields.Type().Field(i).Name)
		}
	}
	e.Event = "stored"
	var out bytes.Buffer
	r := &reporter{log: slog.New(slog.NewJSONHandler(&out, nil))}
	r.emit(e)
	var got, want map[string]any
	line, _ := json.Marshal(e)
	if err := errors.Join(json.Unmarshal(out.Bytes(), &got), json.Unmarshal(line, &want)); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if got["msg"] != "stored" || got["level"] != "INFO" {
		t.Errorf("got %v %v, want INFO stored", got["level"], got["msg"])
	}
	for _, key := range []string{"time", "token", "short_code"} {
		delete(want, key)
	}
	for _, key := range []string{"time", "msg", "level"} {
		delete(got, key)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(want) != fields.NumField()-3 {
		t.Errorf("got %d fields, want all %d but 3: fill the new ones here", len(want), fields.NumField())
	}
}

// TestEventsLogged wants a line for what has happened, but none for progress, and none for
// a failure, which the tool reports.
func TestEventsLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &reporter{log: slog.New(slog.NewTextHandler(&out, nil))}
	r.peer(Party{Name: "camera"})
	r.emit(partyEvent("progress", Party{}))
	r.emit(ended(event{Event: "delivery", Folder: "in"}, nil))
	r.emit(ended(event{Event: "delivery"}, proto.Errorf(proto.Space, "no room")))
	r.emit(ended(event{Event: "reload"}, proto.Errorf(proto.Config, "no such key")))
	r.end(proto.Errorf(proto.Terminated, "ended by terminated"))
	var got []string
	for line := range strings.Lines(out.String()) {
		_, after, _ := strings.Cut(line, " event=")
		got = append(got, strings.Fields(after)[0])
	}
	if want := []string{"peer", "delivery", "end"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, out.String())
	}
}
