//go:build unix

package main

import (
	"fmt"
	"os"
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

	check string // a line of shell that compares the destination $0; empty: the run is timed
}

// bulk reports whether k sends much from memory.
func (k task) bulk() bool { return k.name == "bulk" || k.name == "file" }

// tasks returns the requested tasks, and makes the folder to send.
func (s settings) tasks() ([]task, error) {
	size := s.size.String()
	bulk := task{
		name: "bulk", title: size + " to /dev/null", runs: s.rounds, size: s.size,
		limit: 30*time.Second + time.Duration(s.size.MiB())*200*time.Millisecond,
	}
	file := bulk
	file.name, file.title, file.place = "file", size+" to a file", s.Dir
	files := task{
		name: "files", title: fmt.Sprintf("%d files of %d KiB", s.files, treeFile>>10), runs: s.rounds,
		limit: 30*time.Second + time.Duration(s.files)*20*time.Millisecond,
		tree:  filepath.Join(s.tree, "tree"), place: s.tree,
	}
	small := task{
		name: "small", title: fmt.Sprintf("%d bytes", smallBytes), runs: s.rounds * smallPerBulk,
		limit: 30 * time.Second, size: smallBytes,
	}
	tasks := slices.DeleteFunc([]task{bulk, file, files, small}, func(k task) bool {
		return len(s.names) > 0 && !slices.Contains(s.names, k.name)
	})
	if slices.ContainsFunc(tasks, func(k task) bool { return k.tree != "" }) {
		return tasks, makeTree(files.tree, s.files)
	}
	return tasks, nil
}

// checks returns tasks whose output is compared with their input. They run
// before anything is timed.
func (s settings) checks(tasks []task) []task {
	list := []task{{
		name: "file", title: "check with 1 MiB", runs: 1, limit: 30 * time.Second,
		size: checkBytes, place: s.Dir, check: fmt.Sprintf(`"%s" feed %d | cmp - "$0"`, measure.Self(), checkBytes),
	}}
	for _, k := range tasks {
		if k.tree != "" {
			k.title, k.runs = "check with a folder", 1
			k.check = fmt.Sprintf(`diff -r "%s" "$0/%s"`, k.tree, filepath.Base(k.tree))
			list = append(list, k)
		}
	}
	return list
}

// makeTree makes a folder with n files of random data.
func makeTree(dir string, n int) error {
	data, source := make([]byte, treeFile), measure.Random()
	for i := range n {
		folder := filepath.Join(dir, fmt.Sprintf("%04d", i/treeWidth))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		source.Read(data) // never fails
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d", i%treeWidth)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
