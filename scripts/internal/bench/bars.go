//go:build unix

package main

import (
	"slices"

	"mesh/scripts/internal/measure"
)

const maxPeakMiB = 64 // for either end of mesh

// bars returns the bars of the tasks that ran.
func bars(tasks []task, tools []*tool) (list []measure.Bar) {
	mesh, quic, ssh := find(tools, "mesh"), find(tools, "mesh --via quic"), find(tools, "ssh")
	socat, nc, folder := find(tools, "socat"), find(tools, "nc"), find(tools, "mesh-cat DIR")
	for _, k := range tasks {
		bar := func(what string, got float64, op string, limit float64) {
			list = append(list, measure.Bar{What: k.name + ": " + what, Got: got, Op: op, Limit: limit})
		}
		switch k.name {
		case "bulk", "file":
			bar("mesh × ssh", mesh.faster(ssh, k), "≥", 1.8)
			bar("mesh × socat", mesh.faster(socat, k), "≥", 1.4)
			bar("mesh × nc", mesh.faster(nc, k), "≥", 0.6)
			bar("mesh --via quic × ssh", quic.faster(ssh, k), "≥", 1.0)
			bar("CPU of mesh ÷ ssh", mesh.median(k, cpu)/ssh.median(k, cpu), "<", 1.0)
		case "files":
			bar("mesh × ssh", mesh.faster(ssh, k), "≥", 2.5)
			bar("mesh-cat DIR × mesh and tar", folder.faster(mesh, k), "≥", 1.0)
			bar("mesh-cat DIR × rsync", folder.faster(find(tools, "rsync"), k), "≥", 1.0)
			bar("mesh-cat DIR × scp", folder.faster(find(tools, "scp"), k), "≥", 3.0)
		case "small":
			bar("time of mesh ÷ socat", socat.faster(mesh, k), "≤", 2.0)
		}
	}
	for _, t := range tools {
		if t.family != "mesh" || t.compared || !slices.ContainsFunc(tasks, t.does) {
			continue
		}
		list = append(list, measure.Bar{What: "peak MiB of " + t.Name, Got: t.peak(0, peak), Op: "<", Limit: maxPeakMiB})
	}
	return list
}
