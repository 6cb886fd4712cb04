package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// method describes how the figures came about, in paragraphs.
func method(a *Analysis) []string {
	order := map[string]string{
		"sequential":  "one arm after the other",
		"interleaved": "one trial of each arm in turn",
		"shuffle":     "in blocks of one trial of each arm, in an order drawn from the study's seed",
	}[a.Run.Order]
	return []string{
		fmt.Sprintf("Every trial is one pod with %d runs of %s; its figure is their mean. The trials ran %s. A trial counts only when its log parses as complete and agrees with itself and with its record.",
			a.Run.Iterations, strings.ToUpper(a.Run.Application), order),
		"Trials on one machine repeat a measurement, so machines are the clusters: intervals come from a bootstrap that draws machines (4,000 draws; of the mean bias-corrected and accelerated, of ratios by percentiles), and the main test permutes the arms' labels over machines (all relabellings up to 50,000, else 9,999 draws). Its p-values are adjusted by Holm's method over the comparable arms. The Mann-Whitney test is exact up to 120 trials, ties included.",
		"A difference is called shown when the adjusted p-value is below 0.05 and the interval of the ratio excludes 1. Arms that differ in launch, threads, problem, image or artifact are not tested at all. A rank count that follows from the chosen machine by one rule for both arms belongs to the choice and is no difference in launch.",
	}
}

func runFacts(a *Analysis) []fact {
	r := a.Run
	facts := []fact{
		{"Run", r.ID}, {"Created", r.Created.UTC().Format(time.DateTime + " UTC")}, {"Study", strings.TrimSpace(r.Study + ". " + r.Description)},
		{"Order and seed", r.Order + ", " + strconv.FormatUint(r.Seed, 10)}, {"Provider", r.Provider}, {"Lab", r.Lab},
		{"Imported from", r.Imported}, {"Prices", r.PriceNote}, {"Program", r.Program},
	}
	for _, k := range slices.Sorted(maps.Keys(r.Facts)) {
		facts = append(facts, fact{k, r.Facts[k]})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })
}
