//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The bars that --check holds mesh to.
const (
	minBulk  = 1.2      // of ssh's throughput
	minSmall = 5.0      // times faster than ssh
	maxPeak  = 64 << 20 // bytes, each end
)

// header says what is measured, where and how. dir is a folder to work in.
func header(s settings, tools []*tool, missing []string, dir string) {
	fmt.Printf("# mesh beside other tools, on loopback\n\n")
	fmt.Printf("- Machine: %s, %d cores, %s, %s; load %s before the start.\n",
		cpuModel(), runtime.NumCPU(), kernel(), runtime.Version(), load())
	fmt.Printf("- Bulk: %d MiB of random data from memory, medians of %d runs; small: %d bytes, medians of %d. The tools take turns.\n",
		s.mib, s.runs, smallBytes, s.runs*smallPerBulk)
	fmt.Printf("- The sender's stdin is a pipe that another process fills from memory, the receiver's stdout is /dev/null.\n")
	fmt.Printf("- Time is from the sender's start, with the receiver waiting, to both exits (ssh: to the client's exit).\n")
	fmt.Printf("- CPU and memory are the kernel's account of each end with its child processes (ssh's receiver: sshd, its\n" +
		"  children and cat); memory is the highest of all runs.\n")
	for _, t := range tools {
		if e, err := t.open(run{dir: dir, out: os.DevNull}); err == nil {
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

func bulkTable(s settings, tools []*tool, floor int64) {
	ssh := throughput(find(tools, "ssh"), s)
	rows := [][]string{{
		fmt.Sprintf("%d MiB", s.mib), "MiB/s", "range", "× ssh",
		"CPU s/GiB sender", "receiver", "both", "peak MiB sender", "receiver",
	}}
	for _, t := range tools {
		if len(t.bulk) < s.runs {
			continue
		}
		send := perGiB(s, t.bulk, func(r result) time.Duration { return r.send.cpu })
		recv := perGiB(s, t.bulk, func(r result) time.Duration { return r.recv.cpu })
		both := perGiB(s, t.bulk, func(r result) time.Duration { return r.send.cpu + r.recv.cpu })
		walls := sorted(t.bulk, wall)
		sendPeak, recvPeak := peaks(t.bulk)
		rows = append(rows, []string{
			t.name,
			fmt.Sprintf("%.0f", throughput(t, s)),
			fmt.Sprintf("%.0f–%.0f", rate(s, walls[len(walls)-1]), rate(s, walls[0])),
			ratio(throughput(t, s), ssh),
			fmt.Sprintf("%.2f", send), fmt.Sprintf("%.2f", recv), fmt.Sprintf("%.2f", both),
			above(sendPeak, floor), above(recvPeak, floor),
		})
	}
	table(rows)
	fmt.Printf("\nPeaks up to %s MiB can't be told apart here and are shown as –.\n", mebibytes(floor))
}

func smallTable(tools []*tool) {
	ssh := latency(find(tools, "ssh"))
	rows := [][]string{{
		fmt.Sprintf("%d bytes", smallBytes), "ms", "range", "× faster than ssh", "receiver's own start, ms",
	}}
	for _, t := range tools {
		if len(t.small) == 0 {
			continue
		}
		walls := sorted(t.small, wall)
		starts := sorted(t.small, func(r result) time.Duration { return r.start })
		rows = append(rows, []string{
			t.name,
			fmt.Sprintf("%.1f", latency(t)),
			fmt.Sprintf("%.1f–%.1f", ms(walls[0]), ms(walls[len(walls)-1])),
			ratio(ssh, latency(t)),
			fmt.Sprintf("%.1f", ms(median(starts))),
		})
	}
	table(rows)
}

// bars returns which of the bars mesh misses, if they are asked for.
func bars(s settings, tools []*tool) error {
	if !s.check {
		return nil
	}
	mesh, ssh := find(tools, "mesh"), find(tools, "ssh")
	if latency(mesh) == 0 || latency(ssh) == 0 {
		return errors.New("--check needs figures of both mesh and ssh")
	}
	var missed []error
	if got := throughput(mesh, s) / throughput(ssh, s); got < minBulk {
		missed = append(missed, fmt.Errorf("bulk is %.2f × ssh, the bar is %.2f", got, minBulk))
	}
	if got := latency(ssh) / latency(mesh); got < minSmall {
		missed = append(missed, fmt.Errorf("a small message is %.1f × faster than ssh, the bar is %.1f", got, minSmall))
	}
	if send, recv := peaks(slices.Concat(mesh.bulk, mesh.small)); max(send, recv) >= maxPeak {
		missed = append(missed, fmt.Errorf("peak memory is %s and %s MiB, the bar is %s",
			mebibytes(send), mebibytes(recv), mebibytes(maxPeak)))
	}
	if missed == nil {
		fmt.Printf("\nAll bars are held: %.1f × ssh in bulk, %.0f × faster than ssh, %s MiB.\n", minBulk, minSmall, mebibytes(maxPeak))
	}
	return errors.Join(missed...)
}

// broken returns what went wrong with the tools that could be set up.
func broken(tools []*tool) error {
	for _, t := range tools {
		if t.failed != nil {
			return fmt.Errorf("%s could not be measured", t.name)
		}
	}
	return nil
}

// find returns the tool whose name begins with word, or an empty one.
func find(tools []*tool, word string) *tool {
	for _, t := range tools {
		if strings.HasPrefix(t.name, word) {
			return t
		}
	}
	return &tool{}
}

func wall(r result) time.Duration { return r.wall }

// throughput is the median in MiB/s, 0 if there is none.
func throughput(t *tool, s settings) float64 {
	if len(t.bulk) < s.runs {
		return 0
	}
	return rate(s, median(sorted(t.bulk, wall)))
}

// latency is the median of the small messages in ms, 0 if there is none.
func latency(t *tool) float64 {
	if len(t.small) == 0 || t.failed != nil {
		return 0
	}
	return ms(median(sorted(t.small, wall)))
}

func rate(s settings, d time.Duration) float64 { return float64(s.mib) / d.Seconds() }

func perGiB(s settings, results []result, of func(result) time.Duration) float64 {
	return median(sorted(results, of)).Seconds() * 1024 / float64(s.mib)
}

func peaks(results []result) (send, recv int64) {
	for _, r := range results {
		send, recv = max(send, r.send.peak), max(recv, r.recv.peak)
	}
	return send, recv
}

func sorted(results []result, of func(result) time.Duration) []time.Duration {
	var values []time.Duration
	for _, r := range results {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values
}

// median wants sorted values, at least one.
func median(values []time.Duration) time.Duration {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }

func above(n, floor int64) string {
	if n <= floor {
		return "–"
	}
	return mebibytes(n)
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// table prints rows, the first of which is the head, as aligned Markdown.
func table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Println()
	for n, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Printf("| %s%s ", cell, pad)
			} else {
				fmt.Printf("| %s%s ", pad, cell)
			}
		}
		fmt.Println("|")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			rule := strings.Repeat("-", width)
			if i > 0 {
				rule = rule[1:] + ":"
			}
			fmt.Printf("| %s ", rule)
		}
		fmt.Println("|")
	}
}

func cpuModel() string {
	info, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// load is what others did here in the last minute: near 0 or the figures are theirs too.
func load() string {
	averages, _ := os.ReadFile("/proc/loadavg")
	if last, _, ok := strings.Cut(string(averages), " "); ok {
		return last
	}
	return "unknown"
}

func kernel() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(out))
}
