//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"mesh/scripts/internal/measure"
)

const (
	checkBytes   = 1 << 20 // each tool sends this once before anything is timed
	smallBytes   = 1 << 10
	smallPerBulk = 4 // small messages are quick and their times vary: more runs
	treeFile     = 4 << 10
	treeWidth    = 100 // files in one folder
)

// task is one thing that the tools do in turn.
type task struct {
	name  string // as an argument
	title string
	runs  int
	limit time.Duration // for one run

	size measure.Size // bytes from memory
	tree string       // or else this folder

	place string // the destination is a new file or folder in this one; empty: /dev/null

	check func(ctx context.Context, out string) error // compares the destination; may be nil
}

// bulk reports whether k sends much from memory.
func (k task) bulk() bool { return k.name == "bulk" || k.name == "file" }

// places are the folders for data.
type places struct {
	disk string
	tree string // for folders of files: in memory if possible
}

// newPlaces makes the folders. Trees are not on the disk, because ext4 creates
// files up to 20 times more slowly where many were deleted in the last minutes.
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

// allTasks returns the tasks in the order in which they run.
func allTasks(s settings, p places) []task {
	size := s.size.String()
	bulk := task{
		name: "bulk", title: size + " to /dev/null", runs: s.rounds, size: s.size,
		limit: 30*time.Second + time.Duration(s.size.MiB())*200*time.Millisecond,
	}
	file := bulk
	file.name, file.title, file.place = "file", size+" to a file", p.disk
	return []task{bulk, file, {
		name: "files", title: fmt.Sprintf("%d files of %d KiB", s.files, treeFile>>10), runs: s.rounds,
		limit: 30*time.Second + time.Duration(s.files)*20*time.Millisecond,
		tree:  filepath.Join(p.tree, "tree"), place: p.tree,
	}, {
		name: "small", title: fmt.Sprintf("%d bytes", smallBytes), runs: s.rounds * smallPerBulk,
		limit: 30 * time.Second, size: smallBytes,
	}}
}

// chosenTasks returns the requested tasks, and makes the folder to send.
func chosenTasks(s settings, p places) ([]task, error) {
	tasks := slices.DeleteFunc(allTasks(s, p), func(k task) bool {
		return len(s.tasks) > 0 && !slices.Contains(s.tasks, k.name)
	})
	for _, k := range tasks {
		if k.tree != "" {
			return tasks, makeTree(k.tree, s.files)
		}
	}
	return tasks, nil
}

// checks returns tasks whose output is compared with their input. They run
// before anything is timed.
func checks(tasks []task, p places) []task {
	list := []task{{
		name: "file", title: "check with 1 MiB", limit: 30 * time.Second,
		size: checkBytes, place: p.disk, check: sameBytes,
	}}
	for _, k := range tasks {
		if k.tree != "" {
			k.title = "check with a folder"
			k.check = func(ctx context.Context, out string) error {
				_, err := measure.Output(ctx, exec.Command("diff", "-r", k.tree, filepath.Join(out, filepath.Base(k.tree))))
				return err
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
	if _, err := measure.Random().Read(want); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("received %d bytes that are not the %d bytes sent", len(got), len(want))
	}
	return nil
}

// makeTree makes a folder with n files of random data.
func makeTree(dir string, n int) error {
	data, source := make([]byte, treeFile), measure.Random()
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
