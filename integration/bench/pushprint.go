//go:build linux

package main

import (
	"fmt"
	"time"
)

// column is a number of a run, as tables show it.
type column[R any] struct {
	head   string
	digits int
	number func(R) float64
}

// printPush prints medians, and the medians of the ratios within each turn.
func printPush(all []system, runs [][]pushRun, l pushLoad) {
	for i, callers := range l.callers {
		printTable(fmt.Sprintf("%d callers, %d events under way", callers, l.window), all, runs, []column[pushRun]{
			{"accepted/s", 0, func(r pushRun) float64 { return r.flat[i].accepted }},
			{"deliveries/s", 0, func(r pushRun) float64 { return r.flat[i].deliveries }},
			{"µs CPU/publish", 2, func(r pushRun) float64 { return r.flat[i].publishCost }},
			{"µs CPU/delivery", 2, func(r pushRun) float64 { return r.flat[i].deliverCost }},
			{"bytes/frame", 0, func(r pushRun) float64 { return r.flat[i].frame }},
		})
	}
	printTable(fmt.Sprintf("%d callers, %d events/s", pacedCallers, l.rate), all, runs, []column[pushRun]{
		{"p50 ms", 2, func(r pushRun) float64 { return milliseconds(r.paced.p50) }},
		{"p99 ms", 2, func(r pushRun) float64 { return milliseconds(r.paced.p99) }},
		{"µs CPU/publish", 2, func(r pushRun) float64 { return r.paced.publishCost }},
		{"µs CPU/delivery", 2, func(r pushRun) float64 { return r.paced.deliverCost }},
	})
	fmt.Println("  nothing lost, nothing doubled")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// printTable prints a row for each system, and one for each pair of them.
func printTable[R any](title string, all []system, runs [][]R, columns []column[R]) {
	const first, other = 38, 16
	fmt.Printf("  %-*s", first, title)
	for _, c := range columns {
		fmt.Printf("%*s", other, c.head)
	}
	fmt.Println()
	for i, s := range all {
		fmt.Printf("  %-*s", first, s.name)
		for _, c := range columns {
			fmt.Printf("%*.*f", other, c.digits, medianOf(runs[i], c.number))
		}
		fmt.Println()
	}
	for a := range all {
		for b := a + 1; b < len(all); b++ {
			fmt.Printf("  %-*s", first, all[a].name+" / "+all[b].name)
			for _, c := range columns {
				fmt.Printf("%*.2f", other, medianRatio(runs[a], runs[b], c.number))
			}
			fmt.Println()
		}
	}
}

func medianOf[R any](runs []R, number func(R) float64) float64 {
	var values []float64
	for _, r := range runs {
		values = append(values, number(r))
	}
	return median(values)
}

// medianRatio is over the turns: each number by the other system's of that turn.
func medianRatio[R any](runs, others []R, number func(R) float64) float64 {
	var values []float64
	for turn := range runs {
		values = append(values, number(runs[turn])/number(others[turn]))
	}
	return median(values)
}
