package config

import (
	"fmt"
	"slices"
)

// suggest offers the known name that is closest to a wrong one, or all of them
// if none is close and they are few.
func suggest(wrong string, known []string) string {
	slices.Sort(known)
	known = slices.Compact(known)
	best, distance := "", len(wrong)/2+1
	for _, name := range known {
		if d := editDistance(wrong, name); d < distance {
			best, distance = name, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) == 0:
		return ""
	}
	return fmt.Sprintf("; known here: %s", joinSome(known, 20))
}

// joinSome joins at most n names.
func joinSome(names []string, n int) string {
	text := ""
	for i, name := range names {
		switch {
		case i == n:
			return text + ", …"
		case i > 0:
			text += ", "
		}
		text += name
	}
	return text
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours between two words.
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	before, last, row := rows[0], rows[1], rows[2]
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
