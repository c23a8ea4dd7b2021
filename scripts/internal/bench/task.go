//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	checkBytes   = 1 << 20 // sent by each tool once, before anything is timed
	smallBytes   = 1 << 10
	smallPerBulk = 4 // small messages are cheap and noisy: more runs
	treeFile     = 4 << 10
	treeWidth    = 100 // files in one folder
)

// task is something that the tools do in turn.
type task struct {
	name  string // as on the command line
	title string
	runs  int
	limit time.Duration // for one run

	size int64  // bytes from memory
	tree string // or else this folder
	disk bool   // the data goes to a fresh file or folder, not to /dev/null

	check func(ctx context.Context, out string) error // of what came out; may be nil
}

// allTasks returns the tasks in the order in which they are done. tree is the
// folder to send.
func allTasks(s settings, tree string) []task {
	bulk := task{
		name: "bulk", title: fmt.Sprintf("%d MiB to /dev/null", s.mib), runs: s.runs,
		limit: 30*time.Second + time.Duration(s.mib)*200*time.Millisecond, size: int64(s.mib) << 20,
	}
	file := bulk
	file.name, file.title, file.disk = "file", fmt.Sprintf("%d MiB to a file", s.mib), true
	return []task{bulk, file, {
		name: "tar", title: fmt.Sprintf("%d files of %d KiB", s.files, treeFile>>10), runs: s.runs,
		limit: 30*time.Second + time.Duration(s.files)*20*time.Millisecond, tree: tree, disk: true,
	}, {
		name: "small", title: fmt.Sprintf("%d bytes", smallBytes), runs: s.runs * smallPerBulk,
		limit: 30 * time.Second, size: smallBytes,
	}}
}

// chosenTasks returns the tasks that are asked for. What they need is in dir.
func chosenTasks(s settings, dir string) ([]task, error) {
	tree := filepath.Join(dir, "tree")
	tasks := slices.DeleteFunc(allTasks(s, tree), func(k task) bool {
		return len(s.tasks) > 0 && !slices.Contains(s.tasks, k.name)
	})
	if slices.ContainsFunc(tasks, func(k task) bool { return k.tree != "" }) {
		return tasks, plant(tree, s.files)
	}
	return tasks, nil
}

// checks returns what shows, before anything is timed, that the tools carry
// what the tasks send.
func checks(tasks []task) []task {
	list := []task{{
		name: "file", title: "check with 1 MiB", limit: 30 * time.Second,
		size: checkBytes, disk: true, check: sameBytes,
	}}
	for _, k := range tasks {
		if k.tree != "" {
			k.title = "check with a folder"
			k.check = func(ctx context.Context, out string) error {
				return output(ctx, "diff", "-r", k.tree, filepath.Join(out, filepath.Base(k.tree)))
			}
			list = append(list, k)
		}
	}
	return list
}

func sameBytes(_ context.Context, out string) error {
	got, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	want := make([]byte, checkBytes)
	if _, err := random().Read(want); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d other bytes came out than the %d that went in", len(got), len(want))
	}
	return nil
}

// plant makes a folder with n files of random data.
func plant(dir string, n int) error {
	data, source := make([]byte, treeFile), random()
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("%04d", i/treeWidth), fmt.Sprintf("%02d", i%treeWidth))
		if i%treeWidth == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
		}
		if _, err := source.Read(data); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
