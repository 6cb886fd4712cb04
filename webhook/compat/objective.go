package compat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What a choice can make best.
const (
	// AimFOM is the model's own figure, in its direction.
	AimFOM = "fom"
	// AimPerDollar is that figure by the price of an hour: divided by it where it should be great, multiplied where it should be small.
	AimPerDollar = "per-dollar"
	// AimTime is the time to solution, by the model TimeModel.
	AimTime = "time"
)

// TimeModel is the name of the model that predicts how many seconds a job takes.
const TimeModel = "duration"

// What an objective can bound.
const (
	BoundPrice   = "usd-per-hour"
	BoundMinutes = "minutes"
)

// Objective is what a choice makes best, and the bounds that it keeps. The zero value is AimFOM without bounds.
type Objective struct {
	Aim string
	// MaxUSDPerHour bounds the price of an hour, MaxMinutes the time that TimeModel predicts; 0 is no bound.
	MaxUSDPerHour, MaxMinutes float64
}

// ParseObjective reads what String writes: an aim and bounds, separated by commas, such as "per-dollar, usd-per-hour<=2.5, minutes<=10".
// Without an aim it is AimFOM.
func ParseObjective(text string) (Objective, error) {
	var o Objective
	const hint = "write fom, per-dollar or time, and bounds such as usd-per-hour<=2.5 or minutes<=10, separated by commas"
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		name, number, bound := strings.Cut(part, "<=")
		name = strings.TrimSpace(name)
		if !bound {
			switch {
			case part == "" && strings.TrimSpace(text) == "":
				return o, nil
			case part != AimFOM && part != AimPerDollar && part != AimTime:
				return o, fmt.Errorf("objective %q: %q is not known; %s", text, part, hint)
			case o.Aim != "":
				return o, fmt.Errorf("objective %q: there is one aim, not %s and %s", text, o.Aim, part)
			}
			o.Aim = part
			continue
		}
		limit, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(limit > 0) || math.IsInf(limit, 0) {
			return o, fmt.Errorf("objective %q: %q is no bound; write a number above 0", text, strings.TrimSpace(number))
		}
		var into *float64
		switch name {
		case BoundPrice:
			into = &o.MaxUSDPerHour
		case BoundMinutes:
			into = &o.MaxMinutes
		default:
			return o, fmt.Errorf("objective %q: nothing is bounded by %q; %s", text, name, hint)
		}
		if *into != 0 {
			return o, fmt.Errorf("objective %q: %s is bounded twice", text, name)
		}
		*into = limit
	}
	if o.Aim == AimFOM {
		o.Aim = ""
	}
	return o, nil
}

// String is empty for the zero value.
func (o Objective) String() string {
	var parts []string
	if o.Aim != "" {
		parts = append(parts, o.Aim)
	}
	for _, b := range []struct {
		name  string
		limit float64
	}{{BoundPrice, o.MaxUSDPerHour}, {BoundMinutes, o.MaxMinutes}} {
		if b.limit > 0 {
			parts = append(parts, b.name+"<="+strconv.FormatFloat(b.limit, 'g', -1, 64))
		}
	}
	return strings.Join(parts, ",")
}

// NeedsTime tells whether TimeModel has a say.
func (o Objective) NeedsTime() bool { return o.Aim == AimTime || o.MaxMinutes > 0 }
