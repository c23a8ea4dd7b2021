//go:build linux

package main

import "slices"

// batch is some runs, and what happens to all of them.
type batch struct {
	kind string
	runs []*run
}

// special are the kinds of batches in which something happens to all runs. The first four
// happen when each run has sent half of it.
var special = []string{"box killed", "hub killed", "disk fills", "clock moves", "disk full", "box stopped", "hub down", "recorder down"}

// halfway reports whether the runs of a batch wait for what happens when they have sent half.
func (b *batch) halfway() bool {
	return slices.Contains([]string{"box killed", "hub killed", "disk fills", "clock moves", "box stopped"}, b.kind)
}

// takes reports whether a job may be in the batch.
func (b *batch) takes(j *job, revoked bool) bool {
	if revoked || j.kind == "tree" && b.kind != "calm" {
		return false
	}
	switch b.kind {
	case "box killed", "box stopped", "disk fills", "disk full":
		return j.inbox() == "nas" && (j.pipe() || !b.halfway())
	case "hub killed", "clock moves", "recorder down":
		return j.pipe()
	}
	return true
}

// plan makes the batches of all nights. In each night each job runs, and in an evening after
// the last one nothing happens to anybody, so that what waits is told.
func (w *world) plan() {
	for night := range w.nights {
		revoked := w.random.IntN(len(w.peers)) // by nas, in this night
		var left []*job
		for _, p := range w.peers {
			left = append(left, p.jobs...)
		}
		w.random.Shuffle(len(left), func(a, b int) { left[a], left[b] = left[b], left[a] })
		var some []*batch
		for i, kind := range special {
			switch {
			case w.peersFew() && i%w.nights != night,
				kind == "recorder down" && night == w.nights-1,
				kind == "clock moves" && !w.moves:
				continue
			}
			b := &batch{kind: kind}
			for _, j := range left {
				if len(b.runs) < w.most() && b.takes(j, j.peer == w.peers[revoked]) && !slices.ContainsFunc(b.runs, func(r *run) bool { return r.job.peer == j.peer }) {
					b.runs = append(b.runs, w.newRun(j, night, kind, w.faultIn(kind)))
				}
			}
			left = slices.DeleteFunc(left, func(j *job) bool {
				return slices.ContainsFunc(b.runs, func(r *run) bool { return r.job == j })
			})
			some = append(some, b)
		}
		w.random.Shuffle(len(some), func(a, b int) { some[a], some[b] = some[b], some[a] })
		calm := [2]*batch{{kind: "calm"}, {kind: "calm"}}
		for _, j := range left {
			gone := j.peer == w.peers[revoked]
			fault := w.faultOf(j)
			if gone && j.inbox() == "nas" {
				fault = "revoked"
			}
			to := calm[w.random.IntN(2)]
			if gone {
				to = calm[0]
			}
			to.runs = append(to.runs, w.newRun(j, night, "calm", fault))
		}
		w.batches = append(w.batches, calm[0])
		w.batches = append(w.batches, some...)
		w.batches = append(w.batches, calm[1])
	}
	last := &batch{kind: "evening"}
	for _, p := range w.peers {
		last.runs = append(last.runs, w.newRun(p.jobs[0], w.nights, "evening", "none"))
	}
	w.batches = append(w.batches, last)
}

func (w *world) peersFew() bool { return len(w.peers) < 20 }

// most is how many runs a special batch has.
func (w *world) most() int {
	if w.peersFew() {
		return 2
	}
	return w.atOnce
}

// faultIn returns what happens to a run alone in a special batch.
func (w *world) faultIn(kind string) string {
	if kind == "recorder down" {
		return "fails"
	}
	return "none"
}

// faultOf returns what happens to a run in a calm batch.
func (w *world) faultOf(j *job) string {
	of := []string{"none", "none", "none", "none", "none", "killed"}
	switch {
	case j.kind == "file":
		of = append(of, "large")
	case j.pipe():
		of = []string{
			"none", "none", "none", "none", "none", "none", "none", "none", "large", "fails", "fails", "producer killed",
			"twice", "twice", "killed", "killed", "ended", "deadline", "cut", "cut", "cut long", "link cut",
		}
		if w.moves && j.kind != "daily" { // it would have the name of the day before
			of = append(of, "clock back", "clock back, fails")
		}
	}
	return of[w.random.IntN(len(of))]
}

// newRun makes a run, and says what must come of it.
func (w *world) newRun(j *job, night int, batch, fault string) *run {
	r := &run{job: j, night: night, fault: fault, batch: batch, want: []int{0}}
	switch {
	case batch == "disk full", batch == "disk fills", fault == "large":
		r.want = []int{41}
	case batch == "hub down" && !j.retry:
		r.want = []int{10}
	case (batch == "box killed" || batch == "box stopped") && !j.retry:
		r.want = []int{10, 11, 12}
	case fault == "fails", fault == "producer killed", fault == "clock back, fails":
		r.want = []int{33}
	case fault == "killed" && j.pipe():
		r.want = []int{killed}
	case fault == "killed":
		r.want = []int{killed, 0}
	case fault == "ended":
		r.want = []int{143}
	case fault == "deadline":
		r.want = []int{11}
	case fault == "cut long" && !j.retry:
		r.want = []int{11}
	case fault == "revoked":
		r.want = []int{20}
	}
	if fault == "clock back, fails" {
		r.fault = "clock back"
		r.fails = true
	}
	r.fails = r.fails || fault == "fails"
	j.runs = append(j.runs, r)
	return r
}
