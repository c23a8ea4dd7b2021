//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mesh/pipe/digest"
)

// kinds are the kinds of jobs, in the order in which a peer has them: a pipe under its own
// name, a pipe of which the inbox keeps some, a file, a folder that grows, and a pipe with
// one name a day.
var kinds = []string{"pipe", "kept", "file", "tree", "daily"}

// day is what lies between two nights.
const day = 24 * time.Hour

// job is one line in the crontab of a peer.
type job struct {
	peer  *peer
	name  string
	kind  string
	retry bool // a failure of class 1x is tried again
	runs  []*run
}

func (j *job) pipe() bool { return j.kind != "file" && j.kind != "tree" }

// inbox returns the name of where it sends to.
func (j *job) inbox() string {
	if j.kind == "kept" {
		return "vault"
	}
	return "nas"
}

// settings returns the table [jobs.NAME].
func (j *job) settings() string {
	text := fmt.Sprintf("\n[jobs.%s]\nmetrics = %q\n", j.name, j.peer.metrics()+"/")
	if j.retry {
		text += "retry-for = \"3m\"\n"
	}
	switch j.kind {
	case "pipe", "kept":
		text += "name = \"{job}-{time}.dump\"\n"
	case "daily":
		text += "name = \"{job}-{date}.dump\"\n"
	}
	return text
}

// run is one run of a job.
type run struct {
	job   *job
	night int
	fault string // what happens to it
	batch string // what happens to all meanwhile
	want  []int  // the exit statuses that may come of it; killed stands for SIGKILL
	other *run   // that was begun while this one went on
	held  bool   // it is the other one
	fails bool   // the command ends with 7

	moved      time.Duration // the clock
	begun, end time.Time     // by the clock of this machine
	status     int
	process    *process
	holds      []string // the digests of what it sends
	found      int      // how many of them the inbox has
}

// killed is the status of a process that SIGKILL has ended.
const killed = -1

func (r *run) String() string {
	return fmt.Sprintf("night %d, %s, %s, batch %s", r.night, r.job.name, r.fault, r.batch)
}

// at returns a time by the clock of the run.
func (r *run) at(t time.Time) time.Time { return t.Add(r.moved) }

func (r *run) file() string {
	return filepath.Join(r.job.peer.dir, fmt.Sprintf("%s.%d", r.job.name, r.night))
}

// tree is the folder that the job tree sends.
func (r *run) tree() string { return filepath.Join(r.job.peer.dir, r.job.name) }

// maxBytes is the limit of one delivery. Pipes halt after halfBytes.
const (
	maxBytes  = 1 << 20
	halfBytes = 64 << 10
)

// prepare writes what the run sends.
func (r *run) prepare(random *rand.Rand) error {
	add := func(path string, size int) error {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		r.holds = append(r.holds, digest.Sum(data).String())
		return os.WriteFile(path, data, 0o600)
	}
	switch {
	case r.job.kind == "tree":
		dir := filepath.Join(r.tree(), fmt.Sprint("night", r.night))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for i := range 5 {
			if err := add(filepath.Join(dir, fmt.Sprint("file", i)), 1+random.IntN(30<<10)); err != nil {
				return err
			}
		}
		return nil
	case r.fault == "large":
		return add(r.file(), maxBytes+1+random.IntN(maxBytes/4))
	}
	return add(r.file(), 2*halfBytes+random.IntN(200<<10))
}

// producer sends half of a file, says so in FILE.begun, waits for the end of FILE.wait, sends
// the rest, and ends with a status.
const producer = `head -c 65536 "$1"
echo $$ >"$1.begun"
while [ -e "$1.wait" ]; do sleep 0.05; done
tail -c +65537 "$1"
exit "$2"`

// args returns the command line.
func (r *run) args() []string {
	args := []string{"cat", "--job", r.job.name}
	if r.fault == "deadline" {
		args = append(args, "--deadline", "6s")
	}
	if r.job.kind == "daily" && !r.job.peer.lab.moves { // all nights have one date
		args = append(args, "--name", fmt.Sprintf("{job}-{date}.dump.%d", r.night))
	}
	args = append(args, r.job.inbox())
	switch r.job.kind {
	case "file":
		return append(args, r.file())
	case "tree":
		return append(args, r.tree())
	}
	status := "0"
	if r.fails {
		status = "7"
	}
	return append(args, "--", "sh", "-c", producer, "sh", r.file(), status)
}

// hold makes the producer wait.
func (r *run) hold() error {
	_ = os.Remove(r.file() + ".begun")
	if !r.job.pipe() {
		return nil
	}
	return os.WriteFile(r.file()+".wait", nil, 0o600)
}

func (r *run) release() { _ = os.Remove(r.file() + ".wait") }

// start begins the process.
func (r *run) start() error {
	r.begun = time.Now()
	p, err := r.job.peer.start(r.args()...)
	r.process = p
	return err
}

// halfway waits until the producer waits, or the run is over.
func (r *run) halfway() error {
	if !r.job.pipe() {
		return nil
	}
	return eventually(r.String()+": half of it", func() bool {
		select {
		case <-r.process.done:
			return true
		default:
			return exists(r.file() + ".begun")
		}
	})
}

// underway waits until the state of the job says that the run has begun, or it is over.
func (r *run) underway() error {
	return eventually(r.String()+": its begin", func() bool {
		select {
		case <-r.process.done:
			return true
		default:
			s, err := r.job.state()
			return err == nil && !s.Begun.Before(r.at(r.begun))
		}
	})
}

// wait waits for the end of the process. One that does not end is told as such.
func (r *run) wait() error {
	select {
	case <-r.process.done:
	case <-time.After(6 * time.Minute):
		_ = r.process.Process.Kill()
		<-r.process.done
		return fmt.Errorf("%v: it did not end", r)
	}
	r.status, r.end = r.process.status(), r.process.end
	return nil
}

// says returns the last lines of what the run has printed.
func (r *run) says() string {
	lines := strings.Split(strings.TrimSpace(r.process.stderr()), "\n")
	return strings.Join(lines[max(len(lines)-3, 0):], " | ")
}

// peer is a node that has jobs.
type peer struct {
	*machine

	id      string
	jobs    []*job
	told    string // the file that the command of [notify] writes; "" for a webhook
	watched bool   // the vault expects something of it each minute
}

func (p *peer) metrics() string { return filepath.Join(p.dir, "metrics") }
