//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"

	"mesh/scripts/internal/measure"
)

// What is measured of a task, after its name. Times are in seconds.
const (
	wall    = " wall"  // from the sender's start, or that of its tar, to the last exit
	start   = " start" // from the receiver's start until it accepts the sender
	sendCPU = " sender's CPU"
	recvCPU = " receiver's CPU"
	bothCPU = " CPU"
)

// The peaks of memory, in MiB, are of all tasks together.
const (
	sendPeak = "sender's peak"
	recvPeak = "receiver's peak"
)

const maxPeakMiB = 64 // for either end of mesh

// figure computes one figure of a tool.
type figure func(*measure.Tool) float64

// rate returns the MiB/s of the run whose time is the quantile q.
func rate(k task, q float64) figure {
	return func(t *measure.Tool) float64 { return k.size.MiB() / t.Quantile(k.name+wall, q) }
}

// peak returns the most memory that an end has used, NaN if it is not above floor.
func peak(floor float64, ends ...string) figure {
	return func(t *measure.Tool) float64 {
		most := math.NaN()
		for _, end := range ends {
			if got := t.Quantile(end, 1); got > floor && !(got <= most) {
				most = got
			}
		}
		return most
	}
}

// faster returns how many times as fast as other a tool is, NaN if that is not
// known.
func faster(k task, other *measure.Tool) figure {
	return func(t *measure.Tool) float64 { return other.Median(k.name+wall) / t.Median(k.name+wall) }
}

// details returns the figures of one task.
func (k task) details(ssh *measure.Tool, floor float64) []measure.Column {
	perGiB := 1024 / k.size.MiB()
	if k.bulk() {
		return []measure.Column{
			{Head: "MiB/s", Digits: 0, Of: rate(k, 0.5)},
			{Head: "least", Digits: 0, Of: rate(k, 1)},
			{Head: "most", Digits: 0, Of: rate(k, 0)},
			measure.Quantile("CPU s/GiB sender", 2, k.name+sendCPU, 0.5, perGiB),
			measure.Quantile("receiver", 2, k.name+recvCPU, 0.5, perGiB),
			measure.Quantile("both", 2, k.name+bothCPU, 0.5, perGiB),
			{Head: "peak MiB sender", Digits: 0, Of: peak(floor, sendPeak)},
			{Head: "receiver", Digits: 0, Of: peak(floor, recvPeak)},
			{Head: "× ssh", Digits: 2, Of: faster(k, ssh)},
		}
	}
	return []measure.Column{
		measure.Quantile("ms", 1, k.name+wall, 0.5, 1000),
		measure.Quantile("least", 1, k.name+wall, 0, 1000),
		measure.Quantile("most", 1, k.name+wall, 1, 1000),
		measure.Quantile("receiver's own start, ms", 1, k.name+start, 0.5, 1000),
		{Head: "× ssh", Digits: 2, Of: faster(k, ssh)},
	}
}

// summary returns the main figures of one task.
func (k task) summary(ssh *measure.Tool, floor float64) (columns []measure.Column) {
	switch {
	case k.bulk():
		columns = []measure.Column{{Head: k.title + ", MiB/s", Digits: 0, Of: rate(k, 0.5)}}
	case k.tree != "":
		columns = []measure.Column{measure.Quantile(k.title+", s", 2, k.name+wall, 0.5, 1)}
	default:
		columns = []measure.Column{measure.Quantile(k.title+", ms", 1, k.name+wall, 0.5, 1000)}
	}
	columns = append(columns, measure.Column{Head: "× ssh", Digits: 2, Of: faster(k, ssh)})
	if k.name == "bulk" {
		columns = append(columns,
			measure.Quantile("CPU s/GiB", 2, k.name+bothCPU, 0.5, 1024/k.size.MiB()),
			measure.Column{Head: "peak MiB", Digits: 0, Of: peak(floor, sendPeak, recvPeak)})
	}
	return columns
}

// report prints a table for each task, and one of all.
func report(tasks []task, tools []*measure.Tool) {
	floor, ssh := peakFloor(), measure.Find(tools, "ssh")
	var all []measure.Column
	for _, k := range tasks {
		did := slices.DeleteFunc(slices.Clone(tools), func(t *measure.Tool) bool { return t.Figures[k.name+wall] == nil })
		measure.WriteReport(os.Stdout, k.title, k.details(ssh, floor), did)
		all = append(all, k.summary(ssh, floor)...)
	}
	if len(tasks) > 1 {
		measure.WriteReport(os.Stdout, "", all, tools)
	}
	fmt.Printf("\nPeaks up to %.0f MiB can't be told apart here and are shown as –.\n", floor)
}

// bars returns the bars of the tasks that ran.
func bars(tasks []task, tools []*measure.Tool) (list []measure.Bar) {
	find := func(name string) *measure.Tool { return measure.Find(tools, name) }
	mesh, quic, ssh, folder := find("mesh"), find("mesh --via quic"), find("ssh"), find("mesh-cat DIR")
	for _, k := range tasks {
		bar := func(what string, got float64, op string, limit float64) {
			list = append(list, measure.Bar{What: k.name + ": " + what, Got: got, Op: op, Limit: limit})
		}
		switch k.name {
		case "bulk", "file":
			bar("mesh × ssh", faster(k, ssh)(mesh), "≥", 1.8)
			bar("mesh × socat", faster(k, find("socat"))(mesh), "≥", 1.4)
			bar("mesh × nc", faster(k, find("nc"))(mesh), "≥", 0.6)
			bar("mesh --via quic × ssh", faster(k, ssh)(quic), "≥", 1.0)
			bar("CPU of mesh ÷ ssh", mesh.Median(k.name+bothCPU)/ssh.Median(k.name+bothCPU), "<", 1.0)
		case "files":
			bar("mesh × ssh", faster(k, ssh)(mesh), "≥", 2.5)
			bar("mesh-cat DIR × mesh and tar", faster(k, mesh)(folder), "≥", 1.0)
			bar("mesh-cat DIR × rsync", faster(k, find("rsync"))(folder), "≥", 1.0)
			bar("mesh-cat DIR × scp", faster(k, find("scp"))(folder), "≥", 3.0)
		case "small":
			bar("time of mesh ÷ socat", faster(k, mesh)(find("socat")), "≤", 2.0)
		}
	}
	for _, t := range tools {
		if t.Family == "mesh" && !t.Compared && (t.Figures != nil || t.Failed != nil) {
			list = append(list, measure.Bar{What: "peak MiB of " + t.Name, Got: peak(0, sendPeak, recvPeak)(t), Op: "<", Limit: maxPeakMiB})
		}
	}
	return list
}

// peakFloor returns the lowest peak that can be measured.
func peakFloor() float64 {
	p, err := measure.Start(context.Background(), exec.Command("true"), nil, nil)
	if err != nil {
		return 0
	}
	p.Wait()
	return p.Peak()
}
