//go:build race

package main

// raceDetector is true if the tools are built with the race detector, which needs many
// times the memory and the time.
const raceDetector = true
