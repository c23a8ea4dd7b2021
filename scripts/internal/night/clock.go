//go:build linux

package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A time namespace of Linux has no wall clock, and a static binary does not take its time
// from a library that LD_PRELOAD could replace. So mesh is built with a package time whose
// Now adds the seconds in a file.

// clockVariable names the file with the seconds.
const clockVariable = "NIGHT_CLOCK"

//go:embed moved.go.txt
var movedSource []byte

const (
	nowBefore = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n		return Time{"
	nowAfter  = "	sec, nsec, mono := runtimeNow()\n	sec += moved.Load()\n	if mono == 0 {\n		return Time{"
)

// buildMoved builds mesh with a clock that can be moved. dir takes the sources.
func buildMoved(source, dir, to string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	real := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(real, "time.go"))
	if err != nil {
		return err
	}
	if strings.Count(string(text), nowBefore) != 1 {
		return &lacking{"time.Now of this version of Go is another one: --mesh goes without moved clocks"}
	}
	overlay := map[string]map[string]string{"Replace": {
		filepath.Join(real, "time.go"):  filepath.Join(dir, "time.go"),
		filepath.Join(real, "moved.go"): filepath.Join(dir, "moved.go"),
	}}
	list, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"time.go": []byte(strings.Replace(string(text), nowBefore, nowAfter, 1)), "moved.go": movedSource, "overlay.json": list,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", to, "./cmd/mesh")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

// isMoved reports whether a binary was built by buildMoved.
func isMoved(binary string) (bool, error) {
	text, err := os.ReadFile(binary)
	return bytes.Contains(text, []byte(clockVariable)), err
}
