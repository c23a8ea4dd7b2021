//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mesh/scripts/internal/measure"
)

// header prints what is measured, where and how.
func header(tasks []task, tools []*tool, missing []string, p places) {
	fmt.Printf("# mesh beside other tools, on loopback\n\n- Machine: %s.\n", measure.Machine())
	for _, k := range tasks {
		fmt.Printf("- %s: %s, medians of %d runs.\n", k.name, k.title, k.runs)
	}
	fmt.Printf(`- The tools take turns. All data is random. The sender's stdin is a pipe that another process fills from memory;
  with a folder, tar fills it and another tar unpacks the output, unless the tool takes folders itself.
- Files are new, in DIR on %s; folders, sent and received, are on %s.
- The disk is synced before each run; during a run only mesh-recv -o and -C sync.
- Time runs from the first start on the sender's side, with the receiver waiting, to the last exit (ssh, rsync, scp:
  to the client's exit).
- CPU time and memory are those that the kernel counts for each end and its child processes (ssh's receiver: sshd, its
  children and cat); memory is the highest of all runs.
`, measure.FileSystem(p.disk), measure.FileSystem(p.tree))
	for _, t := range tools {
		job := measure.LocalJob(p.disk)
		job.Out = "OUT"
		if t.Only == "files" {
			job.Tree = "TREE"
		}
		if e, err := t.Open(job); err == nil {
			fmt.Printf("- %s: `%s`, `%s`\n", t.Name, commandLine(e.Recv, p.disk), commandLine(e.Send, p.disk))
		}
	}
	for _, text := range missing {
		fmt.Printf("- Left out: %s.\n", text)
	}
}

// commandLine returns cmd as a person would type it, with DIR for dir.
func commandLine(cmd *exec.Cmd, dir string) string {
	words := []string{filepath.Base(cmd.Args[0])}
	for _, word := range cmd.Args[1:] {
		word = strings.ReplaceAll(word, dir, "DIR")
		if strings.ContainsRune(word, ' ') {
			word = "'" + word + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// Peaks of memory of one result.
func sendPeak(r result) measure.Size { return r.send.Peak }
func recvPeak(r result) measure.Size { return r.recv.Peak }
func peak(r result) measure.Size     { return max(r.send.Peak, r.recv.Peak) }

// Figures of one result, in seconds.
func wall(r result) float64    { return r.wall.Seconds() }
func start(r result) float64   { return r.start.Seconds() }
func sendCPU(r result) float64 { return r.send.CPU.Seconds() }
func recvCPU(r result) float64 { return r.recv.CPU.Seconds() }
func cpu(r result) float64     { return sendCPU(r) + recvCPU(r) }

// figures returns one figure of each run of k.
func (t *tool) figures(k task, of func(result) float64) (list measure.Figures) {
	for _, r := range t.results[k.name] {
		list = append(list, of(r))
	}
	return list
}

// median is NaN if t has not run k.
func (t *tool) median(k task, of func(result) float64) float64 { return t.figures(k, of).Median() }

// faster returns how many times as fast as other t is, NaN if that is not known.
func (t *tool) faster(other *tool, k task) float64 { return other.median(k, wall) / t.median(k, wall) }

// peak returns the most memory in MiB that an end has used in any task, NaN if it
// is not above floor.
func (t *tool) peak(floor measure.Size, of func(result) measure.Size) float64 {
	var above measure.Figures
	for _, results := range t.results {
		for _, r := range results {
			if peak := of(r); peak > floor {
				above = append(above, peak.MiB())
			}
		}
	}
	return above.Quantile(1)
}

// columns is a report's list of columns.
type columns []measure.Column[*tool]

func (c *columns) add(head string, digits int, of func(*tool) float64) {
	*c = append(*c, measure.Column[*tool]{Head: head, Digits: digits, Of: of})
}

// addTask adds the figures of one task, in all detail.
func (c *columns) addTask(k task, ssh *tool, floor measure.Size) {
	if k.bulk() {
		rate := func(q float64) func(*tool) float64 {
			return func(t *tool) float64 { return k.size.MiB() / t.figures(k, wall).Quantile(q) }
		}
		perGiB := func(of func(result) float64) func(*tool) float64 {
			return func(t *tool) float64 { return t.median(k, of) * 1024 / k.size.MiB() }
		}
		c.add("MiB/s", 0, func(t *tool) float64 { return k.size.MiB() / t.median(k, wall) })
		c.add("least", 0, rate(1))
		c.add("most", 0, rate(0))
		c.add("CPU s/GiB sender", 2, perGiB(sendCPU))
		c.add("receiver", 2, perGiB(recvCPU))
		c.add("both", 2, perGiB(cpu))
		c.add("peak MiB sender", 0, func(t *tool) float64 { return t.peak(floor, sendPeak) })
		c.add("receiver", 0, func(t *tool) float64 { return t.peak(floor, recvPeak) })
	} else {
		c.add("ms", 1, func(t *tool) float64 { return 1000 * t.median(k, wall) })
		c.add("least", 1, func(t *tool) float64 { return 1000 * t.figures(k, wall).Quantile(0) })
		c.add("most", 1, func(t *tool) float64 { return 1000 * t.figures(k, wall).Quantile(1) })
		c.add("receiver's own start, ms", 1, func(t *tool) float64 { return 1000 * t.median(k, start) })
	}
	c.add("× ssh", 2, func(t *tool) float64 { return t.faster(ssh, k) })
}

// summary has the main figures of all tasks.
func summary(s settings, ssh *tool, floor measure.Size) (c columns) {
	for _, k := range allTasks(s, places{}) {
		switch {
		case k.bulk():
			c.add(k.title+", MiB/s", 0, func(t *tool) float64 { return k.size.MiB() / t.median(k, wall) })
		case k.tree != "":
			c.add(k.title+", s", 2, func(t *tool) float64 { return t.median(k, wall) })
		default:
			c.add(k.title+", ms", 1, func(t *tool) float64 { return 1000 * t.median(k, wall) })
		}
		c.add("× ssh", 2, func(t *tool) float64 { return t.faster(ssh, k) })
		if k.name == "bulk" {
			c.add("CPU s/GiB", 2, func(t *tool) float64 { return t.median(k, cpu) * 1024 / k.size.MiB() })
			c.add("peak MiB", 0, func(t *tool) float64 { return t.peak(floor, peak) })
		}
	}
	return c
}

// report prints a table for each task, and one of all.
func report(s settings, tasks []task, tools []*tool) error {
	floor, err := measure.PeakFloor()
	if err != nil {
		return err
	}
	ssh := find(tools, "ssh")
	for _, k := range tasks {
		var c columns
		c.addTask(k, ssh, floor)
		write(k.title, c, tools, func(t *tool) bool { return t.results[k.name] != nil })
	}
	if len(tasks) > 1 {
		write("", summary(s, ssh, floor), tools, func(t *tool) bool { return len(t.results) > 0 })
	}
	fmt.Printf("\nPeaks up to %.0f MiB can't be told apart here and are shown as –.\n", floor.MiB())
	return nil
}

// write prints a table of the tools that have results.
func write(title string, c columns, tools []*tool, has func(*tool) bool) {
	var rows []measure.Row[*tool]
	for _, t := range tools {
		if !has(t) {
			continue
		}
		row := measure.Row[*tool]{Name: t.Name, Result: t}
		if t.against != nil && has(t.against) {
			row.Against = &t.against
		}
		rows = append(rows, row)
	}
	measure.WriteReport(os.Stdout, title, c, rows)
}
