package stream

import "math"

// end closes a run, which must have printed a whole and valid report.
func (p *parser) end(line string) *Rejection {
	r := p.run
	if r == nil || iteration(line) != p.started {
		return p.reject("interleaved", "%q after %d runs", line, p.started)
	}
	for _, k := range []struct {
		name   string
		kernel Kernel
		arrays float64 // that one pass of the kernel reads and writes
	}{{"Copy", r.Copy, 2}, {"Scale", r.Scale, 2}, {"Add", r.Add, 3}, {"Triad", r.Triad, 3}} {
		if k.kernel.BestRate <= 0 || k.kernel.Min <= 0 {
			return p.reject("missing-key", "run %d has no rate of %s", p.started, k.name)
		}
		if k.kernel.Min > k.kernel.Avg || k.kernel.Avg > k.kernel.Max {
			return p.reject("inconsistent", "run %d: the times of %s are not in order", p.started, k.name)
		}
		// Times are printed with six decimals, which limits how well the rate follows from them.
		rate := k.arrays * float64(r.ElementBytes) * float64(r.ArraySize) / k.kernel.Min / 1e6
		if math.Abs(rate-k.kernel.BestRate) > rate*(0.001+1e-6/k.kernel.Min) {
			return p.reject("inconsistent", "run %d: the rate of %s is not its bytes by its least time", p.started, k.name)
		}
	}
	if r.Threads < 1 || r.ArraySize < 1 || r.ElementBytes < 1 {
		return p.reject("missing-key", "run %d does not tell its threads or its array size", p.started)
	}
	if !r.Validated {
		return p.reject("invalid", "run %d did not validate its solution", p.started)
	}
	p.log.Reports = append(p.log.Reports, *r)
	p.run = nil
	return nil
}

func (p *parser) finish(iterations int) *Rejection {
	if iterations == 0 {
		iterations = p.started
	}
	n := len(p.log.Reports)
	switch {
	case !p.sawText:
		return p.reject("empty", "the log has no text")
	case p.started == 0 && !p.script:
		return p.reject("not-stream", "the log has no marker of a trial")
	case p.run != nil || p.started == 0:
		return p.reject("truncated", "the log ends before the end of run %d", max(1, p.started))
	case p.inJobs && !p.stats:
		return p.reject("truncated", "the log ends in flux's job records")
	case n < iterations:
		return p.reject("truncated", "%d runs are wanted, the log has %d", iterations, n)
	case n > iterations:
		return p.reject("iterations", "%d runs are wanted, the log has %d", iterations, n)
	}
	first := p.log.Reports[0]
	for i, r := range p.log.Reports {
		if r.Threads != first.Threads || r.ArraySize != first.ArraySize || r.ElementBytes != first.ElementBytes {
			return p.reject("unequal-runs", "run %d had another number of threads or another array size than run 1", i+1)
		}
	}
	return nil
}
