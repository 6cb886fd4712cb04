package described

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/replay"
)

// Rehearser makes a described application's log by the template and the rules in its file. Every figure is invented.
type Rehearser struct{ File *File }

// Name implements application.Rehearser.
func (r Rehearser) Name() string { return r.File.Name }

// DefaultCommand implements application.Rehearser.
func (r Rehearser) DefaultCommand() string { return r.File.Launch.Command }

// Rehearse implements application.Rehearser.
func (r Rehearser) Rehearse(l *application.Launch) (application.Rehearsal, error) {
	out := application.Rehearsal{Source: replay.Estimated, Setup: setupLine(r.File.Launch.Setup)}
	rules := &r.File.Rehearsal
	if rules.Output == "" {
		return out, fmt.Errorf("%w: the file of %s has no rehearsal", application.ErrUnknown, r.File.Name)
	}
	if err := hpcg.CheckImage(l.ImageTag, l.Type.Architecture); err != nil {
		return out, err
	}
	if n := l.RanksPerNode(); n > l.Type.Cores {
		return out, fmt.Errorf("%d ranks on %d cores: %w", n, l.Type.Cores, application.ErrUnsatisfiable)
	}
	means := make([]float64, len(rules.Figures))
	told := []string{"every figure is invented by the rules in the file of " + r.File.Name}
	for i, fig := range rules.Figures {
		base, err := like(fig.Like, l)
		if err != nil {
			return out, err
		}
		means[i] = fig.Factor * base
		word := "times"
		if fig.Inverse {
			means[i], word = fig.Factor/base, "by"
		}
		told = append(told, fmt.Sprintf("%s is %.4g, which is %.4g %s %s (%.4g)", fig.Name, means[i], fig.Factor, word, fig.Like, base))
	}
	out.Rule = strings.Join(told, "; ")
	rng := rand.New(rand.NewPCG(l.Seed, 0x66696c65))
	for i := range l.Iterations {
		out.Runs = append(out.Runs, application.Run{Seconds: cmp.Or(rules.Seconds, 10), Output: []byte(r.output(l, i, means, rng))})
	}
	return out, nil
}

func setupLine(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return text + "\n"
}

// like is what a rule goes by: the launch's cores, or the rating or the traffic that HPCG would have on the type with as many ranks.
func like(what string, l *application.Launch) (float64, error) {
	switch what {
	case "constant":
		return 1, nil
	case "cores":
		return float64(l.Type.Cores * l.Nodes), nil
	}
	rating, traffic, err := hpcg.TrafficOf(hpcg.Query{Type: l.Type, ImageTag: l.ImageTag, Nodes: l.Nodes, Ranks: l.Ranks})
	if err != nil {
		return 0, err
	}
	if what == "traffic" {
		return traffic, nil
	}
	return rating.Mean, nil
}

func (r Rehearser) output(l *application.Launch, iteration int, means []float64, rng *rand.Rand) string {
	replace := []string{
		"{ranks}", strconv.Itoa(l.Ranks), "{threads}", strconv.Itoa(l.Threads), "{nodes}", strconv.Itoa(l.Nodes), "{iteration}", strconv.Itoa(iteration + 1),
	}
	for i, fig := range r.File.Rehearsal.Figures {
		z := math.Max(-3, math.Min(3, rng.NormFloat64()))
		v := means[i] * math.Max(0.05, 1+fig.Spread*z)
		format := cmp.Or(fig.Format, "%.6g")
		replace = append(replace, "{"+fig.Name+"}", fmt.Sprintf(format, v), "{1/"+fig.Name+"}", fmt.Sprintf(format, 1/v))
	}
	text := strings.NewReplacer(replace...).Replace(r.File.Rehearsal.Output)
	return strings.TrimRight(text, "\n") + "\n"
}
