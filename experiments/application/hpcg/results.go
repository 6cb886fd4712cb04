package hpcg

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// file reads a line of the result files that starts with F or H: the files' own first line, and keys such as Final Summary.
func (p *parser) file(b []byte) {
	if version, other := bytes.CutPrefix(b, []byte("HPCG-Benchmark version: ")); other {
		p.fail(ReasonVersion, "the result files are YAML, which HPCG %s writes; those of HPCG 3.1 are read", clip(version))
		return
	}
	if string(b) != "HPCG-Benchmark" {
		p.keyValue(b)
		return
	}
	if len(p.log.Results) >= p.most() {
		p.fail(ReasonTooLarge, "more than %d result files", p.most())
		return
	}
	p.log.Results = append(p.log.Results, Result{line: p.n})
}

// most is the number of result files beyond which a log is not read on.
func (p *parser) most() int { return max(p.iterations, p.log.RunsStarted) + 1 }

func (p *parser) keyValue(b []byte) {
	cut := bytes.IndexByte(b, '=')
	if cut < 0 || len(p.log.Results) == 0 {
		p.log.Noise++
		return
	}
	key, value := b[:cut], b[cut+1:]
	if len(value) == 0 {
		return // a section's header
	}
	r := &p.log.Results[len(p.log.Results)-1]
	f, ok := fields[string(key)]
	if !ok {
		p.remark(r, string(key), string(value))
		return
	}
	nth := int(r.seen[f.index])
	r.seen[f.index]++
	if f.ofLevel == nil {
		if nth > 0 {
			p.fail(ReasonDisorder, "%q comes twice in one result file", f.key)
			return
		}
		p.set(f.key, f.of(r), value)
		return
	}
	if nth >= maxLevels {
		p.fail(ReasonTooLarge, "more than %d multigrid levels", maxLevels)
		return
	}
	if nth == len(r.Coarse) {
		r.Coarse = append(r.Coarse, CoarseGrid{})
	}
	p.set(f.key, f.ofLevel(&r.Coarse[nth]), value)
}

func (p *parser) set(key string, to any, value []byte) {
	switch to := to.(type) {
	case *string:
		*to = string(value)
	case *float64:
		v, err := strconv.ParseFloat(string(value), 64)
		if err != nil || math.IsNaN(v) || v < 0 || v > maxNumber*maxNumber {
			p.fail(ReasonNumber, "%s: %q", key, clip(value))
		}
		*to = v
	case *int:
		*to = int(p.whole64(key, value))
	case *int64:
		*to = p.whole64(key, value)
	}
}

func (p *parser) whole64(key string, value []byte) int64 {
	v, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || v < 0 || v > maxNumber {
		p.fail(ReasonNumber, "%s: %q", key, clip(value))
		return 0
	}
	return v
}

// remark keeps a line that is not in the table: HPCG's remarks on its own kernels, its verdict when that is not VALID, anything else.
func (p *parser) remark(r *Result, key, value string) {
	name, final := strings.CutPrefix(key, summary)
	switch {
	case final && strings.HasPrefix(name, "HPCG result is") || final && strings.Contains(strings.ToUpper(value), "INVALID"):
		r.invalid = name + " " + value
	case final && strings.HasPrefix(name, "Reference version of"):
		if len(r.Notes) < maxLevels {
			r.Notes = append(r.Notes, Note{Key: strings.Clone(name), Text: value})
		}
	case len(r.Extra) < maxExtra:
		if r.Extra == nil {
			r.Extra = map[string]string{}
		}
		r.Extra[key] = value
	default:
		p.log.Noise++
	}
}

var (
	unpreconditioned = []byte("WARNING: PERFORMING UNPRECONDITIONED ITERATIONS")
	callPrefix       = []byte("Call [")
	residualMiddle   = []byte("] Scaled Residual [")
	countMiddle      = []byte("] Number of Iterations [")
	departSpMV       = []byte("Departure from symmetry (scaled) for SpMV abs(x'*A*y - y'*A*x) = ")
	departMG         = []byte("Departure from symmetry (scaled) for MG abs(x'*Minv*y - y'*Minv*x) = ")
)

// solver reads what the solver printed. The files follow each other without a separator: a new one starts with the warning that its
// first iterations are unpreconditioned, after the residual lines of the one before.
func (p *parser) solver(b []byte) {
	if bytes.Equal(b, []byte("HPCG-BENCHMARKS")) {
		p.state = inFiles
		return
	}
	if bytes.Equal(b, unpreconditioned) {
		if n := len(p.log.Solvers); n == 0 || p.log.Solvers[n-1].warnings == 2 {
			if n >= p.most() {
				p.fail(ReasonTooLarge, "solver output of more than %d runs", p.most())
				return
			}
			p.log.Solvers = append(p.log.Solvers, Solver{})
		}
		p.log.Solvers[len(p.log.Solvers)-1].warnings++
		return
	}
	if len(p.log.Solvers) == 0 {
		p.noise(b)
		return
	}
	s := &p.log.Solvers[len(p.log.Solvers)-1]
	switch {
	case bytes.HasPrefix(b, callPrefix):
		p.call(s, b)
	case bytes.HasPrefix(b, departSpMV):
		s.DepartureSpMV = p.float(b[len(departSpMV):])
	case bytes.HasPrefix(b, departMG):
		s.DepartureMG = p.float(b[len(departMG):])
	case bytes.HasPrefix(b, []byte("SpMV call [")):
	default:
		p.noise(b)
	}
}

func (p *parser) call(s *Solver, b []byte) {
	b = bytes.TrimSuffix(b, []byte("]"))
	if at := bytes.Index(b, residualMiddle); at > 0 && bytes.IndexByte(b, ']') == at {
		s.Sets++
		s.sum += p.float(b[at+len(residualMiddle):])
		s.ResidualMean = s.sum / float64(s.Sets)
		return
	}
	at := bytes.Index(b, countMiddle)
	if at < 0 {
		p.log.Noise++
		return
	}
	rest := b[at+len(countMiddle):]
	end := bytes.IndexByte(rest, ']')
	if end < 0 {
		p.log.Noise++
		return
	}
	n, err := strconv.Atoi(string(rest[:end]))
	if err != nil || n < 0 {
		p.fail(ReasonNumber, "iterations %q", clip(rest[:end]))
		return
	}
	switch {
	case s.calls < 2:
		s.UnpreconditionedN[s.calls] = n
	case s.calls < 4:
		s.PreconditionedN[s.calls-2] = n
	}
	s.calls++
}

func (p *parser) float(b []byte) float64 {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		p.fail(ReasonNumber, "solver output: %q", clip(b))
	}
	return v
}
