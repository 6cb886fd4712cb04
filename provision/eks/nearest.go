package eks

// nearest is the offered type whose name differs least from a wrong one, the first in the alphabet of several; empty if nothing is offered.
func nearest(wrong string, offers map[string][]string) string {
	best, least := "", 0
	for t := range offers {
		d := distance(wrong, t)
		if best == "" || d < least || (d == least && t < best) {
			best, least = t, d
		}
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
