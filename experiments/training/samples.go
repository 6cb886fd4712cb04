package training

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/measurements"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// Samples takes one figure of a table's rows, with the node features of their types. A type that is not among the features has the labels of
// its rows; unknown are the types that have neither, and are left out.
func Samples(t *measurements.Table, target string, rows []features.Candidate) (samples []Sample, unknown []string, err error) {
	if applications := t.Applications(); len(applications) > 1 {
		return nil, nil, fmt.Errorf("the table mixes the applications %s: choose one", strings.Join(applications, ", "))
	}
	known := make(map[string]map[string]string, len(rows))
	for _, c := range rows {
		known[c.InstanceType] = c.Labels
	}
	left := map[string]bool{}
	for i := range t.Rows {
		r := &t.Rows[i]
		v, ok := r.Figures[target]
		if !ok {
			continue
		}
		labels := known[r.InstanceType]
		if labels == nil {
			labels = r.Labels
		}
		if len(labels) == 0 {
			left[r.InstanceType] = true
			continue
		}
		samples = append(samples, Sample{InstanceType: r.InstanceType, Labels: labels, Value: v})
	}
	if len(samples) == 0 && len(left) == 0 {
		return nil, nil, fmt.Errorf("no row has the figure %s: there are %s", target, strings.Join(t.Figures(), ", "))
	}
	return samples, slices.Sorted(maps.Keys(left)), nil
}

// PerDollar turns figures into ones per dollar: a figure that should be great is divided by the price of an hour, which the label has in
// USD, and one that should be small is multiplied by it.
func PerDollar(samples []Sample, price string, direction compat.Direction) error {
	for i := range samples {
		s := &samples[i]
		p, err := numberOf(s.Labels, price)
		if err != nil {
			return fmt.Errorf("%s: %w", s.InstanceType, err)
		}
		if p <= 0 {
			return fmt.Errorf("%s: a price of %g USD is none", s.InstanceType, p)
		}
		if direction == compat.Minimize {
			s.Value *= p
		} else {
			s.Value /= p
		}
	}
	return nil
}
