package compat

import (
	"strings"
	"testing"
)

func TestParseObjective(t *testing.T) {
	for text, want := range map[string]Objective{
		"":                            {},
		" ":                           {},
		"fom":                         {},
		"per-dollar":                  {Aim: AimPerDollar},
		" time , usd-per-hour <= 2.5": {Aim: AimTime, MaxUSDPerHour: 2.5},
		"minutes<=10,usd-per-hour<=3": {MaxUSDPerHour: 3, MaxMinutes: 10},
	} {
		got, err := ParseObjective(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		again, err := ParseObjective(got.String())
		if err != nil || again != got {
			t.Errorf("%q is written as %q, which is %+v, %v", text, got, again, err)
		}
	}
	for text, says := range map[string]string{
		"speed": `"speed" is not known`, "per-dollar,time": "one aim", "fom,,": `"" is not known`, "usd-per-hour<=0": "no bound", "usd-per-hour<=-1": "no bound",
		"usd-per-hour<=NaN": "no bound", "usd-per-hour<=Inf": "no bound", "usd-per-hour<=": "no bound", "watts<=3": `bounded by "watts"`,
		"minutes<=1,minutes<=2": "twice", "usd-per-hour>=2": "not known", "usd-per-hour<3": "not known",
	} {
		if _, err := ParseObjective(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v does not say %q", text, err, says)
		}
	}
}

func FuzzParseObjective(f *testing.F) {
	f.Add("per-dollar,usd-per-hour<=2.5,minutes<=1e3")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseObjective(text)
		if err != nil {
			return
		}
		if again, err := ParseObjective(o.String()); err != nil || again != o {
			t.Fatalf("%q is %+v, written %q, read %+v, %v", text, o, o, again, err)
		}
	})
}
