package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// method describes how the figures came about, in paragraphs.
func method(a *Analysis) []string {
	order := map[string]string{
		"sequential":  "one arm after the other",
		"interleaved": "one trial of each arm in turn",
		"shuffle":     "in blocks of one trial of each arm, in an order drawn from the study's seed",
	}[a.Run.Order]
	if order == "" {
		order = "in an order that is not known"
	}
	paragraphs := []string{
		fmt.Sprintf("Every trial is one pod with %d runs of %s. %s The trials ran %s. A trial counts only when its log parses as complete and agrees with itself and with its record; a copy of another trial does not count.",
			a.Run.Iterations, strings.ToUpper(a.Run.Application), firstText(a.Run.FirstIteration), order),
		"Trials on one machine repeat a measurement, so each machine counts once: the estimate is the ratio of the geometric means over machines of each machine's mean. Estimate, interval and p-value come from one model, Welch's t-test on the logarithms of the machines' means with Satterthwaite's degrees of freedom; arms that share all machines are compared machine by machine. Intervals and tests need five machines in both arms: below, no method covers as it says. Trials whose machine is not recorded count as one machine.",
		"Arms that came to the same instance type, launched alike, are one treatment and their trials stand together. p-values are adjusted by Holm's method over all planned arms, also those that could not be tested. A difference is called shown when the adjusted p-value is below 0.05, or below what is due by then where the study plans looks. Arms that differ in launch, threads, problem, image or artifact are not tested at all. A rank count that follows from the chosen machine by one rule for both arms belongs to the choice and is no difference in launch.",
	}
	if text := heldOutText(a.HeldOut); text != "" {
		paragraphs = append(paragraphs, text)
	}
	return paragraphs
}

func firstText(first string) string {
	if first == string(study.CountFirst) {
		return "Its figure is their mean."
	}
	return "Its figure is the mean of all but the first, which warms up what the others find warm and is shown apart."
}

func orderText(r RunFacts) string {
	if r.Seed == nil {
		return r.Order
	}
	return r.Order + ", " + strconv.FormatUint(*r.Seed, 10)
}

func dateText(t time.Time, layout string) string {
	if t.IsZero() {
		return "date unknown"
	}
	return t.UTC().Format(layout)
}

// billText is the bill with its parts.
func billText(a *Analysis) string {
	b := a.Bill
	if b == nil || b.Committed == 0 {
		return ""
	}
	parts := make([]string, 0, len(b.Parts))
	for _, k := range b.Kinds() {
		parts = append(parts, fmt.Sprintf("%s $%.2f", k, b.Parts[k]))
	}
	text := fmt.Sprintf("$%.2f until the last idle node is gone; until the last trial ended $%.2f: %s", b.Committed, b.USD, strings.Join(parts, ", "))
	if a.Simulated {
		text = "what the same would have cost on AWS: " + text
	}
	if len(b.Unpriced) > 0 {
		text += "; without a price, and so not in the sum: " + strings.Join(b.Unpriced, ", ")
	}
	return text
}

func runFacts(a *Analysis) []fact {
	r := a.Run
	facts := []fact{
		{"Run", r.ID},
		{"Created", dateText(r.Created, time.DateTime+" UTC")},
		{"Study", strings.TrimSpace(r.Study + ". " + r.Description)},
		{"Order and seed", orderText(r)},
		{"Provider", r.Provider},
		{"Lab", r.Lab},
		{"Imported from", r.Imported},
		{"Bill", billText(a)},
		{"Prices", r.PriceNote},
		{"Program", r.Program},
	}
	for _, k := range slices.Sorted(maps.Keys(r.Facts)) {
		facts = append(facts, fact{k, r.Facts[k]})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })
}
