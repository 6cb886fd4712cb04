package joblib

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// precision of the coefficients in bits: those of the study reach 1e16 and cancel to 1e-9 of a unit, which takes 90.
const precision = 400

// maxMonomials bounds the size of a formula.
const maxMonomials = 100_000

// maxWork bounds the effort: the study's models take 50,000.
const maxWork = 5_000_000

// indicator is 1 for nodes whose label has the value, else 0. It is referred to by number.
type indicator struct{ label, value string }

// monomial is a product of indicators: their numbers in ascending order, written as a string to be a key.
type monomial string

// column is a polynomial of indicators. An indicator times itself is itself, and two values of one label never hold
// together, so that products stay small.
type column map[monomial]*big.Float

func number(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func (c column) add(m monomial, x *big.Float) {
	if have, ok := c[m]; ok {
		c[m] = new(big.Float).SetPrec(precision).Add(have, x)
		return
	}
	c[m] = x
}

// scaled returns (c - shift) / scale.
func (c column) scaled(shift, scale *big.Float) column {
	out := make(column, len(c)+1)
	quotient := func(x *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Quo(x, scale) }
	for m, x := range c {
		out.add(m, quotient(x))
	}
	if shift.Sign() != 0 {
		out.add("", quotient(new(big.Float).Neg(shift)))
	}
	return out
}

// times multiplies two polynomials.
func (c *converter) times(a, b column) column {
	out := column{}
	for m, x := range a {
		for n, y := range b {
			if p, ok := c.product(m, n); ok {
				out.add(p, new(big.Float).SetPrec(precision).Mul(x, y))
			}
		}
	}
	return out
}

// product multiplies two monomials; ok is false when it is always zero.
func (c *converter) product(a, b monomial) (monomial, bool) {
	if a == "" {
		return b, true
	}
	if b == "" || a == b {
		return a, true
	}
	all := append([]rune(string(a)), []rune(string(b))...)
	slices.Sort(all)
	all = slices.Compact(all)
	seen := map[string]bool{}
	for _, i := range all {
		label := c.indicators[i-first].label
		if seen[label] {
			return "", false
		}
		seen[label] = true
	}
	return monomial(all), true
}

// first is the rune of indicator 0: monomials are strings of runes beyond those that Go would replace.
const first = 0x10000

func (c *converter) indicator(label, value string) (monomial, error) {
	i := slices.Index(c.indicators, indicator{label, value})
	if i < 0 {
		i = len(c.indicators)
		c.indicators = append(c.indicators, indicator{label, value})
	}
	if i > 1<<16 {
		return "", fmt.Errorf("more than %d values of labels", 1<<16)
	}
	return monomial(rune(first + i)), nil
}

// parts splits a coefficient into floats whose exact sum it is, up to the precision that matters: what is below
// 1e-30 of a unit cannot be seen in any score.
func parts(x *big.Float) []float64 {
	rest := new(big.Float).SetPrec(precision).Set(x)
	var out []float64
	for len(out) < 8 {
		f, _ := rest.Float64()
		if math.IsInf(f, 0) {
			return []float64{f} // the model refuses it by name
		}
		if f == 0 || len(out) > 0 && f < 1e-30 && f > -1e-30 {
			break
		}
		out = append(out, f)
		rest.Sub(rest, number(f))
	}
	return out
}

// sortedMonomials lists the keys of a column in a stable order: short ones first.
func sortedMonomials(c column) []monomial {
	keys := make([]monomial, 0, len(c))
	for m := range c {
		keys = append(keys, m)
	}
	slices.SortFunc(keys, func(a, b monomial) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(string(a), string(b))
	})
	return keys
}
