//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mesh/pipe/digest"
)

// The model is written from the manual pages, and shares no code with mesh but the digest.

// teller says what is to be told of the ends of runs or deliveries: mesh-config(5), [notify].
type teller struct {
	now, told map[string]trouble // by job or peer; told is what a daemon that is killed has left
}

// trouble is what is known of a job or a peer that fails.
type trouble struct {
	failures, code int // code is that of the failure that was told
	at             time.Time
}

func newTeller() *teller {
	return &teller{now: make(map[string]trouble), told: make(map[string]trouble)}
}

// restart is a new process of a daemon.
func (t *teller) restart() {
	t.now = maps.Clone(t.told)
}

// end returns the message about an end; "" for none.
func (t *teller) end(who string, status int, at time.Time) string {
	one := t.now[who]
	switch {
	case status == 0:
		delete(t.now, who)
		if one.at.IsZero() {
			return ""
		}
		delete(t.told, who)
		return fmt.Sprintf("%s works", who)
	case status < 10:
		return ""
	}
	one.failures++
	same := one.code == status || one.code < 128 && status < 128 && one.code/10 == status/10
	if !one.at.IsZero() && same && !at.Before(one.at) && at.Sub(one.at) < repeat {
		t.now[who] = one
		return ""
	}
	one.code, one.at = status, at
	t.now[who], t.told[who] = one, one
	return fmt.Sprintf("%s failed %d", who, status)
}

// compare returns all differences between the world and the model.
func (w *world) compare() []string {
	var all []*run
	for _, b := range w.batches {
		for _, r := range b.runs {
			all = append(all, r)
			if r.other != nil {
				all = append(all, r.other)
			}
		}
	}
	w.compareStatus(all)
	for _, p := range w.peers {
		for _, j := range p.jobs {
			w.compareState(j)
		}
	}
	w.compareMessages()
	w.compareFiles(all)
	return w.odd
}

func (w *world) compareStatus(all []*run) {
	for _, r := range all {
		if !slices.Contains(r.want, r.status) {
			w.differ("%v: got status %d, want %v: %s", r, r.status, r.want, r.says())
		}
		if text := r.process.stderr(); strings.Contains(text, "goroutine ") || strings.Contains(text, "panic:") {
			w.differ("%v: it panicked: %s", r, text)
		}
	}
	for _, b := range w.boxes {
		if text := b.process.stderr(); strings.Contains(text, "goroutine ") || b.process.status() != 143 {
			w.differ("%s: got status %d, want 143: %s", b.name, b.process.status(), text[max(len(text)-500, 0):])
		}
	}
}

// jobState is jobs/NAME.json.
type jobState struct {
	Name, Error           string
	Begun, Ended          time.Time
	Code, Tries, Failures int
	LastSuccess           time.Time `json:"last_success"`
	FirstFailure          time.Time `json:"first_failure"`
}

func (j *job) state() (s jobState, err error) {
	text, err := os.ReadFile(filepath.Join(j.peer.home(), "jobs", j.name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// compareState compares what is remembered of a job with how its runs ended.
func (w *world) compareState(j *job) {
	got, err := j.state()
	if err != nil {
		w.differ("%s: its state: %v", j.name, err)
		return
	}
	last := j.runs[len(j.runs)-1]
	failures := 0
	var good, bad *run
	for _, r := range j.runs {
		if r.status == 0 {
			failures, good, bad = 0, r, nil
			continue
		}
		if failures++; bad == nil {
			bad = r
		}
	}
	if last.status == killed { // the next run counts it
		failures--
		if bad == last {
			bad = nil
		}
	}
	wrong := func(what string, got, want any) { w.differ("%s: %s is %v, want %v", j.name, what, got, want) }
	if got.Name != j.name {
		wrong("the name", got.Name, j.name)
	}
	if got.Failures != failures {
		wrong("failures in a row", got.Failures, failures)
	}
	within := func(what string, got time.Time, r *run) {
		switch {
		case r == nil && !got.IsZero():
			wrong(what, got, "none")
		case r == nil:
		case got.Before(r.at(r.begun).Add(-time.Second)) || got.After(r.at(r.end).Add(time.Second)):
			wrong(what, got, fmt.Sprint("within ", r.at(r.begun), " and ", r.at(r.end)))
		}
	}
	within("the last success", got.LastSuccess, good)
	within("the first failure", got.FirstFailure, bad)
	within("the begin", got.Begun, last)
	if last.status == killed {
		if !got.Ended.IsZero() {
			wrong("the end", got.Ended, "none: it was killed")
		}
		return
	}
	within("the end", got.Ended, last)
	if got.Code != last.status {
		wrong("the code", got.Code, last.status)
	}
	if (got.Error == "") != (last.status == 0) {
		wrong("the error", got.Error, fmt.Sprint("that of code ", last.status))
	}
	if got.Tries < 1 || got.Tries > 1 && !j.retry {
		wrong("the tries", got.Tries, "1, or more with retry-for")
	}
	w.compareMetrics(j, got)
}

// compareMetrics compares the file for Prometheus with the state.
func (w *world) compareMetrics(j *job, s jobState) {
	text, err := os.ReadFile(filepath.Join(j.peer.metrics(), "mesh_"+j.name+".prom"))
	if err != nil {
		w.differ("%s: its metrics: %v", j.name, err)
		return
	}
	success := float64(0)
	if !s.LastSuccess.IsZero() {
		success = float64(s.LastSuccess.Unix())
	}
	for name, want := range map[string]float64{
		"last_code": float64(s.Code), "failures_in_a_row": float64(s.Failures),
		"last_end_timestamp_seconds": float64(s.Ended.Unix()), "last_success_timestamp_seconds": success,
	} {
		_, rest, _ := strings.Cut(string(text), fmt.Sprintf("\nmesh_job_%s{name=%q} ", name, j.name))
		value, _, _ := strings.Cut(rest, "\n")
		if got, err := strconv.ParseFloat(value, 64); err != nil || got != want {
			w.differ("%s: the metric %s is %q, want %v", j.name, name, value, want)
		}
	}
}

// compareMessages compares what was told with what was to be told.
func (w *world) compareMessages() {
	commands := make(map[string]string)
	for _, p := range w.peers {
		if p.told != "" {
			commands[p.name] = p.told
		}
	}
	got, err := received(filepath.Join(w.recorder.dir, "told"), commands)
	if err != nil {
		w.differ("the messages: %v", err)
		return
	}
	if n := len(got["forged"]); n > 0 {
		w.differ("%d messages have a wrong signature", n)
	}
	for _, p := range w.peers {
		t := newTeller()
		var ends []*run
		for _, j := range p.jobs {
			for _, r := range j.runs {
				ends = append(ends, r)
				if r.other != nil {
					ends = append(ends, r.other)
				}
			}
		}
		slices.SortFunc(ends, func(a, b *run) int { return a.end.Compare(b.end) })
		var want []string
		for _, r := range ends {
			if r.status == killed {
				continue
			}
			if text := t.end(r.job.name, r.status, r.at(r.end)); text != "" {
				want = append(want, text)
			}
		}
		var has []string
		for _, m := range got[p.name] {
			has = append(has, short(m, m.Job))
		}
		w.compareLists(p.name+" has told", has, want)
		if left := waiting(p.machine); len(left) > 0 {
			w.differ("%s: these wait to be told: %v", p.name, left)
		}
		w.messages += len(has)
	}
	for name, b := range w.boxes {
		var has, alarms []string
		for _, m := range got[name] {
			if m.Event == "silence" {
				alarms = append(alarms, m.PeerName+" "+m.Kind)
				continue
			}
			has = append(has, short(m, m.PeerName))
		}
		want, err := b.tells(w)
		if err != nil {
			w.differ("%s: %v", name, err)
		}
		w.compareLists(name+" has told", has, want)
		w.compareAlarms(b, alarms)
		if left := waiting(b.machine); len(left) > 0 {
			w.differ("%s: these wait to be told: %v", name, left)
		}
		w.messages += len(got[name])
	}
}

// short returns what a message says in the words of the model.
func short(m message, who string) string {
	if m.Kind == "failed" {
		return fmt.Sprintf("%s failed %d", who, m.Code)
	}
	return fmt.Sprintf("%s %s", who, m.Kind)
}

// compareLists compares two lists whose order does not matter.
func (w *world) compareLists(what string, got, want []string) {
	count := make(map[string]int)
	for _, s := range got {
		count[s]++
	}
	for _, s := range want {
		count[s]--
	}
	var words []string
	for s := range count {
		words = append(words, s)
	}
	slices.Sort(words)
	for _, s := range words {
		if n := count[s]; n > 0 {
			w.differ("%s %q %d times more than the model", what, s, n)
		} else if n < 0 {
			w.differ("%s %q %d times less than the model", what, s, -n)
		}
	}
}

// tells returns what an inbox has to tell of the deliveries in its events.
func (b *inbox) tells(w *world) (all []string, err error) {
	t := newTeller()
	for _, file := range b.events {
		t.restart()
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			var e struct {
				Event, Name string
				Time        time.Time
				Code        int
				PeerName    string `json:"peer_name"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				if strings.HasSuffix(line, "\n") { // else it was being written at a kill -9
					return nil, fmt.Errorf("%s: %w: %s", file, err, line)
				}
				continue
			}
			if e.Event != "delivery" {
				continue
			}
			w.deliveries++
			if text := t.end(e.PeerName, e.Code, e.Time); text != "" {
				all = append(all, text)
			}
		}
	}
	return all, nil
}

// arrival is a line of the log of an inbox.
type arrival struct {
	at                 time.Time
	peer, digest, file string
	stored             int
}

func (b *inbox) arrivals() (all []arrival, err error) {
	text, err := os.ReadFile(b.log())
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		if len(words) != 5 {
			return nil, fmt.Errorf("%s: %q", b.log(), line)
		}
		seconds, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			return nil, err
		}
		stored, err := strconv.Atoi(words[3])
		if err != nil {
			return nil, err
		}
		all = append(all, arrival{time.UnixMicro(int64(seconds * 1e6)), words[1], words[2], words[4], stored})
	}
	return all, nil
}

// compareAlarms compares the alarms of an inbox with the silence of its peers. The inbox
// looks each minute after its start.
func (w *world) compareAlarms(b *inbox, got []string) {
	if b.name == "nas" { // it expects something every 3 h, and a moved clock is no silence
		w.compareLists("nas has told", got, nil)
		return
	}
	arrivals, err := b.arrivals()
	if err != nil {
		w.differ("%v", err)
	}
	const (
		expect = time.Minute
		unsure = 3 * time.Second
	)
	wall := func(t time.Time) time.Time {
		if !b.pushed.IsZero() && t.After(b.pushed) {
			return t.Add(push)
		}
		return t
	}
	for _, p := range w.peers {
		if !p.watched {
			continue
		}
		last, late, clear := b.starts[0], false, true
		next := b.starts[0].Add(expect)
		var want []string
		look := func(until time.Time) {
			for ; next.Before(until); next = next.Add(time.Minute) {
				silent := wall(next).Sub(wall(last))
				clear = clear && (late || silent < expect-unsure || silent > expect+unsure) && (until.Sub(next) > unsure || late || silent < expect-unsure)
				if silent > expect && !late {
					late = true
					want = append(want, p.name+" overdue")
				}
			}
		}
		for _, a := range arrivals {
			if a.peer != p.name {
				continue
			}
			look(a.at)
			if last = a.at; late {
				late = false
				want = append(want, p.name+" came")
			}
		}
		look(b.process.end)
		var has []string
		for _, s := range got {
			if strings.HasPrefix(s, p.name+" ") {
				has = append(has, s)
			}
		}
		if !clear { // a look and an arrival, or the end of the minute, were at the same moment
			w.unclear++
			continue
		}
		w.alarms += len(want)
		w.compareLists("vault has told", has, want)
	}
	for _, s := range got {
		name, _, _ := strings.Cut(s, " ")
		if !slices.ContainsFunc(w.peers, func(p *peer) bool { return p.watched && p.name == name }) {
			w.differ("vault has told %q, of which it expects nothing", s)
		}
	}
}

// compareFiles compares what the inboxes hold with what was sent.
func (w *world) compareFiles(all []*run) {
	sent := make(map[string]*run) // by digest
	for _, r := range all {
		for _, d := range r.holds {
			sent[d] = r
		}
	}
	for _, b := range w.boxes {
		w.compareInbox(b, sent)
	}
	for _, r := range all {
		if r.held {
			continue
		}
		switch want := len(r.holds); {
		case r.job.kind == "kept": // below
		case r.status == 0 && r.found != want:
			w.differ("%v: it ended with 0, and the inbox has %d of its %d files", r, r.found, want)
		case r.found > want:
			w.differ("%v: the inbox has %d files of it, want %d", r, r.found, want)
		case r.found > 0 && r.job.pipe() && slices.Contains([]int{33, 41, 20, 13}, r.status):
			w.differ("%v: it ended with %d, and the inbox has it: %s", r, r.status, r.says())
		case r.found > 0 && r.job.pipe() && slices.Contains([]string{"killed", "ended", "deadline", "producer killed"}, r.fault):
			w.differ("%v: it was half sent, and the inbox has it", r)
		}
	}
	w.compareKept(all)
}

// compareInbox looks at each file of an inbox.
func (w *world) compareInbox(b *inbox, sent map[string]*run) {
	err := filepath.WalkDir(b.disk, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w.files++
		w.bytes += int64(len(data))
		name, _ := filepath.Rel(b.disk, path)
		owner, _, _ := strings.Cut(name, "/")
		r := sent[digest.Sum(data).String()]
		switch {
		case r == nil:
			w.differ("%s: %s (%d bytes) is nothing that was sent", b.name, name, len(data))
			return nil
		case r.job.peer.name != owner || r.job.inbox() != b.name:
			w.differ("%s: %s was sent by %v", b.name, name, r)
		}
		base := filepath.Base(name)
		if !w.moves {
			base = strings.TrimSuffix(base, fmt.Sprint(".", r.night))
		}
		good := true
		switch r.job.kind {
		case "pipe":
			good = strings.HasPrefix(base, r.job.name+"-20") && strings.HasSuffix(base, "Z.dump")
		case "daily":
			good = base == r.job.name+"-"+r.at(r.begun).Format(time.DateOnly)+".dump" || base == r.job.name+"-"+r.at(r.end).Format(time.DateOnly)+".dump"
		case "file":
			good = filepath.Base(name) == filepath.Base(r.file())
		case "kept":
			good = strings.HasPrefix(base, owner+"-20")
		}
		if !good {
			w.differ("%s: %s has the wrong name for %v", b.name, name, r)
		}
		r.found++
		return nil
	})
	if err != nil {
		w.differ("%s: %v", b.name, err)
	}
}

// compareKept wants the newest pipes of each peer in the vault, and no older one.
func (w *world) compareKept(all []*run) {
	arrivals, err := w.boxes["vault"].arrivals()
	if err != nil {
		w.differ("%v", err)
	}
	for _, p := range w.peers {
		var stored []arrival
		for _, a := range arrivals {
			if a.peer == p.name {
				stored = append(stored, a)
			}
		}
		dir := filepath.Join(w.boxes["vault"].disk, p.name)
		var want, got []string
		for _, a := range stored[max(len(stored)-keep, 0):] {
			want = append(want, a.file)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			got = append(got, filepath.Join(dir, e.Name()))
		}
		w.compareLists("the vault keeps", got, want)
		for _, r := range all {
			if r.job.peer != p || r.job.kind != "kept" || r.held {
				continue
			}
			times := 0
			for _, a := range stored {
				if a.digest == r.holds[0] {
					times++
				}
			}
			switch {
			case r.status == 0 && (times == 0 || times > 1 && !r.job.retry):
				w.differ("%v: it ended with 0, and has arrived %d times", r, times)
			case times > 0 && slices.Contains([]int{33, 41, 13}, r.status):
				w.differ("%v: it ended with %d, and has arrived", r, r.status)
			}
		}
	}
}

// figures prints what was done.
func (w *world) figures(prepared, took time.Duration) {
	status := make(map[int]int)
	runs := 0
	for _, b := range w.batches {
		for _, r := range b.runs {
			for _, r := range []*run{r, r.other} {
				if r != nil {
					status[r.status]++
					runs++
				}
			}
		}
	}
	var words []string
	for code, n := range status {
		words = append(words, fmt.Sprintf("%d×%d", n, code))
	}
	slices.Sort(words)
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage)
	load, _ := os.ReadFile("/proc/loadavg")
	say("seed %d: %d jobs of %d peers, %d runs in %.0f s (and %.0f s to prepare): %s", w.seed, len(w.peers)*w.jobs, len(w.peers), runs, took.Seconds(), prepared.Seconds(), strings.Join(words, " "))
	say("%d deliveries, %d messages, %d alarms (%d peers unclear), %d files with %d bytes", w.deliveries, w.messages, w.alarms, w.unclear, w.files, w.bytes)
	say("processor: %d s user, %d s system; load average %s", usage.Utime.Sec, usage.Stime.Sec, strings.TrimSpace(string(load)))
}
