// Package job keeps what is known of a job: a run that cron or a timer begins again and
// again under one name. A lock keeps two runs of a job apart, and a file of state tells
// how the last one ended.
//
//	$STATE/jobs/NAME.lock   locked while a run goes on; holds its process id and its start
//	$STATE/jobs/NAME.json   the state of the last run, replaced whole
//
// The kernel frees the lock when the process ends, however that ends. So a lock is never
// stale, and a state that has begun and not ended while nobody has the lock is that of a
// run that was killed.
package job

import (
	"path/filepath"
	"strings"

	"mesh/proto"
)

// folder is in the state folder.
const folder = "jobs"

// maxName bounds the name of a job, in bytes.
const maxName = 64

// CheckName refuses what is not the name of a job: 1 to 64 of a-z, 0-9, ".", "_" and "-",
// and neither "." nor "..". The error has code [proto.Usage].
func CheckName(name string) error {
	foreign := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) }
	if name == "" || len(name) > maxName || name == "." || name == ".." || strings.ContainsFunc(name, foreign) {
		return proto.Errorf(proto.Usage, "%s is not the name of a job: want 1 to %d of a-z, 0-9, dot, underscore and dash", proto.QuoteText(name), maxName)
	}
	return nil
}

// path returns the path of a file of a job in the state folder dir.
func path(dir, name, suffix string) string { return filepath.Join(dir, folder, name+suffix) }

const (
	stateSuffix = ".json"
	lockSuffix  = ".lock"
)
