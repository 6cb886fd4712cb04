package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Op is an operator of an Expression.
type Op string

// The operators. Gte and Lte are other names of Ge and Le.
const (
	OpIn           Op = "In"
	OpNotIn        Op = "NotIn"
	OpInRegexp     Op = "InRegexp"
	OpExists       Op = "Exists"
	OpDoesNotExist Op = "DoesNotExist"
	OpGt           Op = "Gt"
	OpLt           Op = "Lt"
	OpGe           Op = "Ge"
	OpLe           Op = "Le"
	OpGtLt         Op = "GtLt"
	OpGeLe         Op = "GeLe"
	OpIsTrue       Op = "IsTrue"
	OpIsFalse      Op = "IsFalse"
)

// arity tells how many values an operator takes; -1 means one or more.
var arity = map[Op]int{
	OpIn: -1, OpNotIn: -1, OpInRegexp: -1, OpExists: 0, OpDoesNotExist: 0, OpIsTrue: 0, OpIsFalse: 0,
	OpGt: 1, OpLt: 1, OpGe: 1, OpLe: 1, OpGtLt: 2, OpGeLe: 2,
}

// Expression is a requirement on one node label.
type Expression struct {
	Key    string
	Op     Op
	Values []string

	// absentIsNotIn: NotIn holds for a label that is absent. NFD says no, the list shape says yes.
	absentIsNotIn bool
	// or are further labels of which any may exist, for OpExists.
	or       []string
	patterns []*regexp.Regexp
}

func newExpression(key string, op Op, values []string) (Expression, error) {
	switch op {
	case "Gte":
		op = OpGe
	case "Lte":
		op = OpLe
	}
	want, known := arity[op]
	if !known {
		return Expression{}, fmt.Errorf("the operator %q is not known; known are In, NotIn, InRegexp, Exists, DoesNotExist, Gt, Ge (Gte), Lt, Le (Lte), GtLt, GeLe, IsTrue, IsFalse", op)
	}
	if n := len(values); want >= 0 && n != want || want < 0 && n == 0 || n > maxValues {
		need := fmt.Sprint(want)
		if want < 0 {
			need = fmt.Sprintf("1 to %d", maxValues)
		}
		return Expression{}, fmt.Errorf("%s has %d values, takes %s", op, n, need)
	}
	x := Expression{Key: key, Op: op, Values: values}
	for _, v := range values {
		switch op {
		case OpInRegexp:
			if len(v) > maxPattern {
				return x, fmt.Errorf("a pattern has %d characters, the limit is %d", len(v), maxPattern)
			}
			re, err := regexp.Compile(v)
			if err != nil {
				return x, fmt.Errorf("pattern %q: %w", v, err)
			}
			x.patterns = append(x.patterns, re)
		case OpGt, OpLt, OpGe, OpLe, OpGtLt, OpGeLe:
			if !isVersion(v) {
				return x, fmt.Errorf("%s compares numbers and versions; %q is neither", op, v)
			}
		}
	}
	return x, nil
}

// Holds reports whether a node with the given labels fulfils the expression.
func (x *Expression) Holds(labels map[string]string) bool {
	have, ok := labels[x.Key]
	switch x.Op {
	case OpExists:
		return ok || slices.ContainsFunc(x.or, func(k string) bool { _, there := labels[k]; return there })
	case OpDoesNotExist:
		return !ok
	case OpNotIn:
		return !ok && x.absentIsNotIn || ok && !slices.Contains(x.Values, have)
	}
	if !ok {
		return false
	}
	switch x.Op {
	case OpIn:
		return slices.Contains(x.Values, have)
	case OpInRegexp:
		return slices.ContainsFunc(x.patterns, func(re *regexp.Regexp) bool { return re.MatchString(have) })
	case OpIsTrue:
		return have == "true"
	case OpIsFalse:
		return have == "false"
	}
	if !isVersion(have) {
		return false
	}
	first := compareVersions(have, x.Values[0])
	switch x.Op {
	case OpGt:
		return first > 0
	case OpGe:
		return first >= 0
	case OpLt:
		return first < 0
	case OpLe:
		return first <= 0
	}
	second := compareVersions(have, x.Values[1])
	if x.Op == OpGtLt {
		return first > 0 && second < 0
	}
	return first >= 0 && second <= 0
}

// Labels lists the node labels that the expression looks at.
func (x *Expression) Labels() []string { return append([]string{x.Key}, x.or...) }

func (x *Expression) String() string {
	keys := strings.Join(x.Labels(), " or ")
	if len(x.Values) == 0 {
		return keys + " " + string(x.Op)
	}
	return fmt.Sprintf("%s %s %s", keys, x.Op, strings.Join(x.Values, ", "))
}

// isVersion reports whether text starts like a number: 6, 6.1, 6.1.134-152.amzn2023, v1.2.
func isVersion(text string) bool {
	text = strings.TrimPrefix(text, "v")
	if rest := strings.TrimPrefix(text, "-"); len(rest) > 0 && allDigits(rest) {
		return true
	}
	return text != "" && text[0] >= '0' && text[0] <= '9'
}

// compareVersions orders versions by their parts: numbers as numbers, words as words, a number after a word, the
// shorter first. Whole negative numbers come before everything else.
func compareVersions(a, b string) int {
	na, nb := strings.HasPrefix(a, "-"), strings.HasPrefix(b, "-")
	switch {
	case na && nb:
		return compareNumbers(b[1:], a[1:])
	case na:
		return -1
	case nb:
		return 1
	}
	a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
	for a != "" && b != "" {
		var pa, pb string
		pa, a = versionPart(a)
		pb, b = versionPart(b)
		if c := compareParts(pa, pb); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// versionPart cuts the leading run of digits or of other letters; separators end it and are dropped.
func versionPart(s string) (part, rest string) {
	end := 0
	number := isDigit(s[0])
	for end < len(s) && isDigit(s[end]) == number && !strings.ContainsRune(".-_+~", rune(s[end])) {
		end++
	}
	part, rest = s[:end], s[end:]
	if rest != "" && strings.ContainsRune(".-_+~", rune(rest[0])) {
		rest = rest[1:]
	}
	return part, rest
}

func compareParts(a, b string) int {
	da, db := allDigits(a), allDigits(b)
	switch {
	case da && db:
		return compareNumbers(a, b)
	case da:
		return 1
	case db:
		return -1
	}
	return strings.Compare(a, b)
}

// compareNumbers orders digits of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
