// Package words makes and mends single words of messages: counts of things, and the known word that a mistyped one may have meant.
package words

import (
	"fmt"
	"slices"
)

// Count is a number with its word; the plural ends in s where none is given.
func Count(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Nearest is the known word that differs least from a wrong one, the first in the alphabet of several; empty when nothing is known.
func Nearest(wrong string, known []string) string {
	best, least := "", 0
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(wrong, k); best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// NearestWithin is Nearest for a word that differs in at most so many letters; empty when none does.
func NearestWithin(wrong string, known []string, letters int) string {
	best := Nearest(wrong, known)
	if best == "" || distance(wrong, best) > letters {
		return ""
	}
	return best
}

// distance is the number of letters to insert, drop or replace to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := diagonal
			if a[i-1] != b[j-1] {
				d++
			}
			diagonal = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
