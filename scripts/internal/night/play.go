//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// play plays all batches.
func (w *world) play() error {
	w.plan()
	night := -1
	for _, b := range w.batches {
		if len(b.runs) == 0 {
			continue
		}
		if n := b.runs[0].night; n != night {
			night = n
			if err := w.begins(night); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := w.playBatch(b); err != nil {
			return fmt.Errorf("night %d, %s: %w", night, b.kind, err)
		}
		say("night %d: %s: %d runs in %.0f s", night, b.kind, len(b.runs), time.Since(began).Seconds())
	}
	return w.settle()
}

// begins moves the clocks of the peers to a night.
func (w *world) begins(night int) error {
	if !w.moves {
		return nil
	}
	if b := w.boxes["vault"]; night == 1 {
		b.pushed = time.Now()
		if err := b.setClock(push); err != nil {
			return err
		}
	}
	for _, p := range w.peers {
		if err := p.setClock(time.Duration(night) * day); err != nil {
			return err
		}
	}
	return nil
}

// playBatch plays one batch. A peer has one run at a time, so that what happens to a run
// happens to no other.
func (w *world) playBatch(b *batch) error {
	for _, r := range b.runs {
		if err := r.prepare(w.random); err != nil {
			return err
		}
		if w.moves {
			r.moved = time.Duration(r.night) * day
		}
	}
	if b.halfway() {
		return w.playHalfway(b)
	}
	nas := w.boxes["nas"]
	after := func() error { return nil }
	switch b.kind {
	case "disk full":
		if err := nas.fill(); err != nil {
			return err
		}
		after = nas.empty
	case "recorder down":
		stop(w.recording, syscall.SIGKILL)
		after = w.startRecorder
	case "hub down":
		stop(w.hubProcess, syscall.SIGKILL)
		patient := slices.DeleteFunc(slices.Clone(b.runs), func(r *run) bool { return !r.job.retry })
		if err := w.playRuns(slices.DeleteFunc(slices.Clone(b.runs), func(r *run) bool { return r.job.retry })); err != nil {
			return err
		}
		back := make(chan error, 1) // sent once by the goroutine
		go func() {
			<-time.After(3 * time.Second)
			back <- w.startHub()
		}()
		return errors.Join(w.playRuns(patient), <-back, w.present())
	}
	return errors.Join(w.playRuns(b.runs), after())
}

// playRuns plays runs, those of a peer one after the other.
func (w *world) playRuns(runs []*run) error {
	var peers []*peer
	for _, r := range runs {
		if !slices.Contains(peers, r.job.peer) {
			peers = append(peers, r.job.peer)
		}
	}
	return together(w.atOnce, peers, func(p *peer) error {
		for _, r := range runs {
			if r.job.peer == p {
				if err := w.playRun(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// playHalfway begins all runs of a batch, waits until each has sent half, lets something
// happen, and lets the runs go on.
func (w *world) playHalfway(b *batch) error {
	nas := w.boxes["nas"]
	for _, r := range b.runs {
		if err := errors.Join(r.hold(), r.start()); err != nil {
			return err
		}
	}
	for _, r := range b.runs {
		if err := r.halfway(); err != nil {
			return err
		}
	}
	after := func() error { return nil }
	var err error
	switch b.kind {
	case "box killed":
		nas.kills = append(nas.kills, time.Now())
		stop(nas.process, syscall.SIGKILL)
		err = w.startInbox(nas)
	case "box stopped":
		stop(nas.process, syscall.SIGTERM)
		err = w.startInbox(nas)
	case "hub killed":
		stop(w.hubProcess, syscall.SIGKILL)
		err = w.startHub()
		after = w.present
	case "disk fills":
		after = nas.empty
		for _, r := range b.runs { // a run that fails makes room again
			err = errors.Join(err, nas.fill())
			r.release()
			<-r.process.done
		}
	case "clock moves":
		for _, d := range []time.Duration{2 * day, -day, 0} {
			err = errors.Join(err, nas.setClock(d), w.hub.setClock(d))
			<-time.After(time.Second)
		}
	}
	for _, r := range b.runs {
		r.release()
	}
	for _, r := range b.runs {
		err = errors.Join(err, r.wait())
	}
	return errors.Join(err, after())
}

// playRun plays one run and what happens to it alone.
func (w *world) playRun(r *run) error {
	p := r.job.peer
	var err error
	switch r.fault {
	case "revoked":
		if _, err := w.boxes["nas"].run("token", "revoke", p.id); err != nil {
			return err
		}
	case "clock back":
		r.moved -= day + time.Hour
		err = p.setClock(r.moved)
	}
	halts := slices.Contains([]string{"killed", "producer killed", "twice", "ended", "deadline", "cut", "cut long", "link cut"}, r.fault) && r.job.pipe()
	if halts {
		err = errors.Join(err, r.hold())
	}
	if err = errors.Join(err, r.start()); err != nil {
		return err
	}
	if halts {
		if err := errors.Join(r.halfway(), w.happens(r)); err != nil {
			return err
		}
		r.release()
	} else if r.fault == "killed" {
		err = r.underway()
		<-time.After(time.Duration(len(r.holds)*(r.night+1)*5) * time.Millisecond)
		_ = r.process.Process.Kill()
	}
	err = errors.Join(err, r.wait())
	switch r.fault {
	case "revoked":
		_, aerr := w.boxes["nas"].run("token", "allow", p.id, "send")
		err = errors.Join(err, aerr)
	case "clock back":
		err = errors.Join(err, p.setClock(time.Duration(r.night)*day))
	}
	return err
}

// happens does what happens to a run that has sent half.
func (w *world) happens(r *run) error {
	p := r.job.peer
	switch r.fault {
	case "killed":
		stop(r.process, syscall.SIGKILL)
	case "ended":
		stop(r.process, syscall.SIGTERM)
	case "deadline":
		<-r.process.done
	case "producer killed":
		text, err := os.ReadFile(r.file() + ".begun")
		if err != nil {
			return err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	case "twice":
		other := &run{job: r.job, night: r.night, fault: "twice", batch: r.batch, want: []int{13}, held: true, moved: r.moved}
		if err := errors.Join(other.start(), other.wait()); err != nil {
			return err
		}
		r.other = other
	case "cut", "cut long":
		if err := p.cut(true); err != nil {
			return err
		}
		if r.fault == "cut long" && !r.job.retry {
			<-r.process.done
		} else if r.fault == "cut long" {
			<-time.After(resumeFor + 8*time.Second)
		} else {
			<-time.After(resumeFor / 2)
		}
		return p.cut(false)
	case "link cut": // the connections of the link are ended, the way is there
		return p.reset()
	}
	return nil
}

// reset ends the TCP connections of a machine.
func (m *machine) reset() error {
	p, err := m.begin("ss", "-K", "dst", boxAddr)
	if err == nil {
		p.status() // a kernel without CONFIG_INET_DIAG_DESTROY lets it be
	}
	return nil
}

// filler is the file that fills the disk of an inbox. Nothing of it is a delivery.
const filler = ".filler"

// fill fills the disk.
func (b *inbox) fill() error {
	f, err := os.OpenFile(filepath.Join(b.disk, filler), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()
	for size := int64(64 << 20); size >= 4<<10; {
		err := syscall.Fallocate(int(f.Fd()), 0, at, size)
		switch {
		case err == nil:
			at += size
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case !errors.Is(err, syscall.EINTR):
			return err
		}
	}
	return nil
}

// empty makes room again.
func (b *inbox) empty() error { return os.Remove(filepath.Join(b.disk, filler)) }

// present waits until the hub knows the inboxes again.
func (w *world) present() error {
	var err error
	for name := range w.boxes {
		err = errors.Join(err, eventually(name+" is back at the hub", func() bool {
			_, err := w.peers[0].run("ping", "-c", "1", "--trust", "hub", name)
			return err == nil
		}))
	}
	return err
}

// settle waits until nothing waits to be told.
func (w *world) settle() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(150 * time.Second); time.Now().Before(end); <-tick.C {
		left := 0
		for _, b := range w.boxes {
			left += len(waiting(b.machine))
		}
		if left == 0 {
			break
		}
	}
	for _, b := range w.boxes {
		stop(b.process, syscall.SIGTERM)
	}
	return w.collect()
}

// goesOn is how long a delivery may go on after its last byte: its link may come back for two
// minutes.
const goesOn = 150 * time.Second

// collect wants nothing half-written but what a killed inbox has left, and nothing of that
// after two days.
func (w *world) collect() error {
	nas := w.boxes["nas"]
	left := func() []string {
		names, _ := filepath.Glob(filepath.Join(nas.disk, "*", ".mesh-*"))
		return names
	}
	for _, name := range left() {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		during := func(kill time.Time) bool { return info.ModTime().Before(kill) && kill.Sub(info.ModTime()) < goesOn }
		if !slices.ContainsFunc(nas.kills, during) {
			w.differ("nas has left %s half-written, of %v, when nobody killed it", name, info.ModTime())
		}
	}
	if !w.moves {
		for _, name := range left() {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(nas.setClock(2*day), w.startInbox(nas)); err != nil {
		return err
	}
	if err := eventually("what was half-written is gone", func() bool { return len(left()) == 0 }); err != nil {
		w.differ("%v: %v", err, left())
	}
	stop(nas.process, syscall.SIGTERM)
	return nil
}

// waiting returns the messages that wait to be told on a machine.
func waiting(m *machine) []string {
	names, _ := filepath.Glob(filepath.Join(m.home(), "notify", "*.json"))
	return names
}
