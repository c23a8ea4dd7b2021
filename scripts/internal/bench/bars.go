//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mesh/scripts/internal/table"
)

// bar is something that --check holds mesh to.
type bar struct {
	what string
	got  float64 // 0: there is no figure
	op   string  // how got must stand to want: ≥, ≤ or <
	want float64
}

func (b bar) held() bool {
	switch b.op {
	case "≥":
		return b.got >= b.want
	case "≤":
		return 0 < b.got && b.got <= b.want
	default:
		return 0 < b.got && b.got < b.want
	}
}

// bars returns the bars of the tasks that were done.
func bars(tasks []task, tools []*tool) []bar {
	mesh, quic, ssh := find(tools, "mesh"), find(tools, "mesh --via quic"), find(tools, "ssh")
	socat, nc, folder := find(tools, "socat"), find(tools, "nc"), find(tools, "mesh-cat DIR")
	var list []bar
	for _, k := range tasks {
		switch k.name {
		case "bulk", "file":
			list = append(
				list,
				bar{k.name + ": mesh × ssh", faster(mesh, ssh, k), "≥", 1.8},
				bar{k.name + ": mesh × socat", faster(mesh, socat, k), "≥", 1.4},
				bar{k.name + ": mesh × nc", faster(mesh, nc, k), "≥", 0.6},
				bar{k.name + ": mesh --via quic × ssh", faster(quic, ssh, k), "≥", 1.0},
				bar{k.name + ": CPU of mesh ÷ ssh", quotient(mesh.median(k, cpu), ssh.median(k, cpu)), "<", 1.0},
			)
		case "files":
			list = append(
				list,
				bar{k.name + ": mesh × ssh", faster(mesh, ssh, k), "≥", 2.5},
				bar{k.name + ": mesh-cat DIR × mesh and tar", faster(folder, mesh, k), "≥", 1.0},
				bar{k.name + ": mesh-cat DIR × rsync", faster(folder, find(tools, "rsync"), k), "≥", 1.0},
				bar{k.name + ": mesh-cat DIR × scp", faster(folder, find(tools, "scp"), k), "≥", 3.0},
			)
		case "small":
			list = append(list, bar{k.name + ": time of mesh ÷ socat", faster(socat, mesh, k), "≤", 2.0})
		}
	}
	for _, t := range tools {
		if strings.HasPrefix(t.name, "mesh") && slices.ContainsFunc(tasks, t.does) {
			send, recv := t.peaks()
			list = append(list, bar{"peak MiB of " + t.name, float64(max(send, recv)) / (1 << 20), "<", 64})
		}
	}
	return list
}

// check prints which bars are held. Its error says that some are not.
func check(list []bar) error {
	rows := [][]string{{"bar", "got", "want", ""}}
	var err error
	for _, b := range list {
		verdict := "held"
		if !b.held() {
			verdict, err = "missed", errors.New("mesh misses a bar")
		}
		rows = append(rows, []string{b.what, number(b.got, 2), fmt.Sprintf("%s %.2f", b.op, b.want), verdict})
	}
	table.Write(os.Stdout, rows)
	return err
}

// faster tells how many times faster than other t does k, 0 if that is not known.
func faster(t, other *tool, k task) float64 {
	return quotient(other.median(k, wall), t.median(k, wall))
}

// quotient is a ÷ b, 0 if one of them is not known.
func quotient(a, b time.Duration) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
