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

	place string // of the fresh file or folder that is made of it; empty: /dev/null

	check func(ctx context.Context, out string) error // of what came out; may be nil
}

// places are folders to work in.
type places struct {
	disk string
	tree string // for folders: in memory where that can be
}

// newPlaces makes them. Trees are not on the disk because ext4 is up to 20
// times slower with new files where many were deleted in the last minutes.
func newPlaces() (p places, err error) {
	if p.disk, err = os.MkdirTemp("", "mesh-bench-"); err != nil {
		return p, err
	}
	if p.tree, err = os.MkdirTemp("/dev/shm", "mesh-bench-"); err != nil {
		p.tree = p.disk
	}
	return p, nil
}

func (p places) remove() {
	os.RemoveAll(p.tree)
	os.RemoveAll(p.disk)
}

// allTasks returns the tasks in the order in which they are done.
func allTasks(s settings, p places) []task {
	bulk := task{
		name: "bulk", title: fmt.Sprintf("%d MiB to /dev/null", s.mib), runs: s.runs,
		limit: 30*time.Second + time.Duration(s.mib)*200*time.Millisecond, size: int64(s.mib) << 20,
	}
	file := bulk
	file.name, file.title, file.place = "file", fmt.Sprintf("%d MiB to a file", s.mib), p.disk
	return []task{bulk, file, {
		name: "files", title: fmt.Sprintf("%d files of %d KiB", s.files, treeFile>>10), runs: s.runs,
		limit: 30*time.Second + time.Duration(s.files)*20*time.Millisecond,
		tree:  filepath.Join(p.tree, "tree"), place: p.tree,
	}, {
		name: "small", title: fmt.Sprintf("%d bytes", smallBytes), runs: s.runs * smallPerBulk,
		limit: 30 * time.Second, size: smallBytes,
	}}
}

// chosenTasks returns the tasks that are asked for, with the folder to send.
func chosenTasks(s settings, p places) ([]task, error) {
	tasks := slices.DeleteFunc(allTasks(s, p), func(k task) bool {
		return len(s.tasks) > 0 && !slices.Contains(s.tasks, k.name)
	})
	for _, k := range tasks {
		if k.tree != "" {
			return tasks, plant(k.tree, s.files)
		}
	}
	return tasks, nil
}

// checks returns what shows, before anything is timed, that the tools carry
// what the tasks send.
func checks(tasks []task, p places) []task {
	list := []task{{
		name: "file", title: "check with 1 MiB", limit: 30 * time.Second,
		size: checkBytes, place: p.disk, check: sameBytes,
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
