package provision

import "slices"

// CostItem is one thing that costs money while it exists.
type CostItem struct {
	What   string  `json:"what"`
	Group  string  `json:"group,omitempty"` // of whose nodes it is, one for each; empty: there whatever runs
	Count  int     `json:"count"`           // while nothing runs
	Most   int     `json:"most"`            // in the worst case
	Each   float64 `json:"eachUSDPerHour"`
	Source string  `json:"source"` // where the price is from
}

// Estimate is what the lab costs an hour.
type Estimate struct {
	Items []CostItem `json:"items"`
	Idle  float64    `json:"idleUSDPerHour"`  // while no experiment runs
	Worst float64    `json:"worstUSDPerHour"` // with every node group at its largest
	// Unpriced are instance types without a price in any source: the sums do not hold them.
	Unpriced []string `json:"unpriced,omitempty"`
	Sources  []string `json:"sources"`
}

// With is the hourly price while so many nodes of each group run.
func (e *Estimate) With(nodes map[string]int) float64 {
	sum := 0.0
	for _, i := range e.Items {
		n := i.Count
		if i.Group != "" {
			n = nodes[i.Group]
		}
		sum += float64(n) * i.Each
	}
	return sum
}

// Add puts an item into the sums.
func (e *Estimate) Add(i CostItem) {
	e.Items = append(e.Items, i)
	e.Idle += float64(i.Count) * i.Each
	e.Worst += float64(i.Most) * i.Each
	if !slices.Contains(e.Sources, i.Source) {
		e.Sources = append(e.Sources, i.Source)
	}
}
