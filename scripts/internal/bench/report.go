//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"mesh/scripts/internal/host"
	"mesh/scripts/internal/table"
)

// header says what is measured, where and how.
func header(tasks []task, tools []*tool, missing []string, p places) {
	dir := p.disk
	fmt.Printf("# mesh beside other tools, on loopback\n\n")
	fmt.Printf("- Machine: %s, %d cores, %s, %s; load %s before the start.\n",
		host.CPUModel(), runtime.NumCPU(), host.Kernel(), runtime.Version(), host.Load())
	for _, k := range tasks {
		fmt.Printf("- %s: %s, medians of %d runs.\n", k.name, k.title, k.runs)
	}
	fmt.Printf("- The tools take turns. All data is random. The sender's stdin is a pipe that another process fills from\n" +
		"  memory; with a folder, tar fills it and another tar unpacks what arrives, if the tool does not do that itself.\n")
	fmt.Printf("- Files are fresh, in DIR on %s; folders, sent and received, are on %s.\n",
		host.FileSystem(dir), host.FileSystem(p.tree))
	fmt.Printf("- All is synced before each run; in it only mesh-recv -o and -C sync.\n")
	fmt.Printf("- Time is from the first start on the sender's side, with the receiver waiting, to the last exit\n" +
		"  (ssh, rsync, scp: to the client's exit).\n")
	fmt.Printf("- CPU and memory are the kernel's account of each end with its child processes (ssh's receiver: sshd, its\n" +
		"  children and cat); memory is the highest of all runs.\n")
	for _, t := range tools {
		job := run{dir: dir, out: "OUT", tree: "TREE"}
		if t.task != "files" {
			job.tree = ""
		}
		if e, err := t.open(job); err == nil {
			fmt.Printf("- %s: `%s`, `%s`\n", t.name, show(e.recv, dir), show(e.send(), dir))
		}
	}
	for _, text := range missing {
		fmt.Printf("- Left out: %s.\n", text)
	}
}

// show returns cmd as a person would type it, with DIR for dir.
func show(cmd *exec.Cmd, dir string) string {
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

// bulkTable reports a task that sends much from memory.
func bulkTable(k task, tools []*tool, floor int64) {
	ssh := find(tools, "ssh")
	rows := [][]string{{
		k.title, "MiB/s", "range", "× ssh",
		"CPU s/GiB sender", "receiver", "both", "peak MiB sender", "receiver",
	}}
	for _, t := range tools {
		walls := t.sorted(k, wall)
		if walls == nil {
			continue
		}
		perGiB := func(of func(result) time.Duration) string {
			return number(t.median(k, of).Seconds()*(1<<30)/float64(k.size), 2)
		}
		send, recv := t.peaks()
		rows = append(rows, []string{
			t.name, number(k.rate(t.median(k, wall)), 0),
			fmt.Sprintf("%.0f–%.0f", k.rate(walls[len(walls)-1]), k.rate(walls[0])),
			number(faster(t, ssh, k), 2),
			perGiB(func(r result) time.Duration { return r.send.cpu }),
			perGiB(func(r result) time.Duration { return r.recv.cpu }),
			perGiB(cpu),
			above(send, floor), above(recv, floor),
		})
	}
	table.Write(os.Stdout, rows)
}

// timeTable reports a task of which only the time counts.
func timeTable(k task, tools []*tool) {
	ssh := find(tools, "ssh")
	rows := [][]string{{k.title, "ms", "range", "× ssh", "receiver's own start, ms"}}
	for _, t := range tools {
		walls := t.sorted(k, wall)
		if walls == nil {
			continue
		}
		rows = append(rows, []string{
			t.name, number(ms(t.median(k, wall)), 1),
			fmt.Sprintf("%.1f–%.1f", ms(walls[0]), ms(walls[len(walls)-1])),
			number(faster(t, ssh, k), 2),
			number(ms(t.median(k, func(r result) time.Duration { return r.start })), 1),
		})
	}
	table.Write(os.Stdout, rows)
}

// summary prints the table that README shows.
func summary(s settings, tools []*tool, floor int64) {
	all := allTasks(s, places{})
	bulk, file, folder, small := all[0], all[1], all[2], all[3]
	ssh := find(tools, "ssh")
	rows := [][]string{{
		"", fmt.Sprintf("%d MiB, MiB/s", s.mib), "× ssh", "CPU s/GiB", "peak MiB", "to a file, MiB/s", "× ssh",
		fmt.Sprintf("%d files, s", s.files), "× ssh", "1 KiB, ms",
	}}
	for _, t := range tools {
		if len(t.results) == 0 {
			continue
		}
		rows = append(rows, []string{
			t.name,
			number(bulk.rate(t.median(bulk, wall)), 0), number(faster(t, ssh, bulk), 2),
			number(t.median(bulk, cpu).Seconds()*1024/float64(s.mib), 2), above(max(t.peaks()), floor),
			number(file.rate(t.median(file, wall)), 0), number(faster(t, ssh, file), 2),
			number(t.median(folder, wall).Seconds(), 2), number(faster(t, ssh, folder), 2),
			number(ms(t.median(small, wall)), 1),
		})
	}
	table.Write(os.Stdout, rows)
	fmt.Printf("\nPeaks up to %.0f MiB can't be told apart here and are shown as –.\n", mebibytes(floor))
}

// number prints a figure, – if there is none.
func number(f float64, digits int) string {
	if f == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, f)
}
