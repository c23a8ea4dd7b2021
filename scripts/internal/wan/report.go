//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"mesh/scripts/internal/table"
)

// tables prints one table for each congestion control and rate.
func (g grid) tables(cells []cell) {
	for _, cc := range g.ccs {
		for _, rate := range g.rates {
			fmt.Printf("\n## Hosts under %s, %s\n", cc, rate)
			head := append([]string{"RTT ms", "loss %"}, g.tools...)
			var ours []string
			if slices.Contains(g.tools, "ssh") {
				for _, name := range g.tools {
					if name != "ssh" && name != "iperf3" {
						ours = append(ours, name)
						head = append(head, name+" × ssh")
					}
				}
			}
			rows := [][]string{head}
			for _, c := range cells {
				if c.cc == cc && c.rate == rate {
					rows = append(rows, c.row(g.tools, ours))
				}
			}
			table.Write(os.Stdout, rows)
		}
	}
}

func (c cell) row(names, ours []string) []string {
	row := []string{fmt.Sprint(c.rtt.Milliseconds()), fmt.Sprintf("%g", c.loss)}
	for _, name := range names {
		got := c.got[name]
		text := fmt.Sprintf("%.1f / %.1f", got.whole/1e6, got.steady/1e6)
		if got.via != "" {
			text += " " + got.via
		}
		switch {
		case got.err != nil:
			text = "failed"
		case !got.trusted():
			text += " !"
		}
		row = append(row, text)
	}
	for _, name := range ours {
		row = append(row, ratio(c.got[name].whole, c.got["ssh"].whole))
	}
	return row
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// median sorts values, of which there is at least one.
func median(values []time.Duration) time.Duration {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
