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

// Figures of one result.
func wall(r result) float64  { return r.wall.Seconds() }
func start(r result) float64 { return r.start.Seconds() }
func cpu(r result) float64   { return r.send.CPU.Seconds() + r.recv.CPU.Seconds() }

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

// peaks returns the most memory that each end has used in any task.
func (t *tool) peaks() (send, recv measure.Size) {
	for _, results := range t.results {
		for _, r := range results {
			send, recv = max(send, r.send.Peak), max(recv, r.recv.Peak)
		}
	}
	return send, recv
}

// rates turns the times of k into MiB/s.
func (k task) rates(times measure.Figures) (list measure.Figures) {
	for _, seconds := range times {
		list = append(list, k.size.MiB()/seconds)
	}
	return list
}

// report prints a table for each task and, if all ran, one of all.
func report(s settings, tasks []task, tools []*tool) error {
	floor, err := measure.PeakFloor()
	if err != nil {
		return err
	}
	for _, k := range tasks {
		title := bulkRow
		if k.tree != "" || k.name == "small" {
			title = timeRow
		}
		taskTable(s, k, tools, title, floor)
	}
	summary(s, tools, floor)
	fmt.Printf("\nPeaks up to %.0f MiB can't be told apart here and are shown as –.\n", floor.MiB())
	return nil
}

// taskTable prints the results of one task. A row without a tool is the head.
func taskTable(s settings, k task, tools []*tool, row func(*tool, task, measure.Size) []string, floor measure.Size) {
	head := append([]string{k.title}, row(nil, k, floor)...)
	rows := [][]string{append(head, "× ssh")}
	if s.Against != "" {
		rows[0] = append(rows[0], "× against")
	}
	ssh := find(tools, "ssh")
	for _, t := range tools {
		if len(t.results[k.name]) == 0 {
			continue
		}
		cells := append([]string{t.Name}, row(t, k, floor)...)
		rows = append(rows, append(cells, t.ratios(s, k, ssh)...))
	}
	measure.WriteTable(os.Stdout, rows)
}

// ratios returns the speed of t relative to ssh and, with --against, to the
// other binary.
func (t *tool) ratios(s settings, k task, ssh *tool) []string {
	cells := []string{measure.Number(t.faster(ssh, k), 2)}
	if s.Against == "" {
		return cells
	}
	other := t.against
	if other == nil {
		other = &tool{}
	}
	return append(cells, measure.Number(t.faster(other, k), 2))
}

// bulkRow is for a task that sends much from memory.
func bulkRow(t *tool, k task, floor measure.Size) []string {
	if t == nil {
		return []string{"MiB/s", "range", "CPU s/GiB sender", "receiver", "both", "peak MiB sender", "receiver"}
	}
	perGiB := func(of func(result) float64) string {
		return measure.Number(t.median(k, of)*1024/k.size.MiB(), 2)
	}
	rates := k.rates(t.figures(k, wall))
	send, recv := t.peaks()
	return []string{
		measure.Number(rates.Median(), 0), rates.Range(0),
		perGiB(func(r result) float64 { return r.send.CPU.Seconds() }),
		perGiB(func(r result) float64 { return r.recv.CPU.Seconds() }),
		perGiB(cpu), above(send, floor), above(recv, floor),
	}
}

// timeRow is for a task of which only the time counts.
func timeRow(t *tool, k task, _ measure.Size) []string {
	if t == nil {
		return []string{"ms", "range", "receiver's own start, ms"}
	}
	times := t.figures(k, func(r result) float64 { return measure.MS(r.wall) })
	return []string{measure.Number(times.Median(), 1), times.Range(1), measure.Number(1000*t.median(k, start), 1)}
}

// summary prints all tasks in one table.
func summary(s settings, tools []*tool, floor measure.Size) {
	all := allTasks(s, places{})
	bulk, file, folder, small := all[0], all[1], all[2], all[3]
	ssh := find(tools, "ssh")
	rows := [][]string{{
		"", s.size.String() + ", MiB/s", "× ssh", "CPU s/GiB", "peak MiB", "to a file, MiB/s", "× ssh",
		fmt.Sprintf("%d files, s", s.files), "× ssh", "1 KiB, ms",
	}}
	for _, t := range tools {
		if len(t.results) == 0 {
			continue
		}
		rows = append(rows, []string{
			t.Name,
			measure.Number(bulk.size.MiB()/t.median(bulk, wall), 0), measure.Number(t.faster(ssh, bulk), 2),
			measure.Number(t.median(bulk, cpu)*1024/bulk.size.MiB(), 2), above(max(t.peaks()), floor),
			measure.Number(file.size.MiB()/t.median(file, wall), 0), measure.Number(t.faster(ssh, file), 2),
			measure.Number(t.median(folder, wall), 2), measure.Number(t.faster(ssh, folder), 2),
			measure.Number(1000*t.median(small, wall), 1),
		})
	}
	measure.WriteTable(os.Stdout, rows)
}

// above prints a peak in MiB, or a dash if it is too low to be measured.
func above(peak, floor measure.Size) string {
	if peak <= floor {
		return "–"
	}
	return fmt.Sprintf("%.0f", peak.MiB())
}
