package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Rule picks the type with the greatest or the least number.
type Rule struct {
	Name      string
	Label     string
	Direction compat.Direction
}

// Compare adds to an evaluation how models that exist, models of their kind that did not see the type that they predict, and rules that
// need no model do on the same samples.
func (e *Evaluation) Compare(ctx context.Context, samples []Sample, models []*predict.Model, rules []Rule) error {
	types, sc, err := kinds(samples)
	if err != nil {
		return err
	}
	for _, m := range models {
		e.Models = append(e.Models, e.judge(m, types, sc))
		again, err := e.refit(ctx, m, types, sc)
		if err != nil {
			return err
		}
		e.Models = append(e.Models, again)
	}
	for _, r := range rules {
		s, err := e.rule(r, types, sc)
		if err != nil {
			return err
		}
		e.Models = append(e.Models, s)
	}
	e.Models = append(e.Models, e.mean(types, sc), e.bestMeasured(types, sc))
	return nil
}

func measuredOf(types []kind, sc scale) (measured []float64, predictions []Prediction) {
	for _, t := range types {
		measured = append(measured, sc.from(t.y))
		predictions = append(predictions, Prediction{InstanceType: t.name})
	}
	return measured, predictions
}

// judge scores a model that exists. It was fitted on whatever it was fitted on, mostly these types among others.
func (e *Evaluation) judge(m *predict.Model, types []kind, sc scale) Score {
	measured, names := measuredOf(types, sc)
	s := Score{Name: m.Name, SawTypes: true}
	predicted := make([]float64, len(types))
	off, n := 0.0, 0
	for i, t := range types {
		score, out := m.Score(t.labels)
		predicted[i] = score
		if len(out) > 0 {
			s.OutOfDomain++
			continue
		}
		off += math.Abs(score/measured[i] - 1)
		n++
	}
	if n > 0 {
		off /= float64(n)
		s.MeanError = &off
	}
	s.RankCorrelation = directed(spearman(predicted, measured), m.Direction, e.Direction)
	s.fill(names, turned(predicted, m.Direction, e.Direction), measured, e.Direction)
	return s
}

// turned makes scores that are best where they are least into ones that are best as the target is.
func turned(v []float64, from, to compat.Direction) []float64 {
	if from == to {
		return v
	}
	out := make([]float64, len(v))
	for i := range v {
		out[i] = -v[i]
	}
	return out
}

func directed(r *float64, from, to compat.Direction) *float64 {
	if r != nil && from != to {
		*r = -*r
	}
	return r
}

// refit predicts each type by a model of the kind that the study published, fitted on the other types: least squares of least norm over
// the model's labels, one column for each value and each pair of values (scikit-learn: OneHotEncoder, PolynomialFeatures(2),
// LinearRegression).
func (e *Evaluation) refit(ctx context.Context, m *predict.Model, types []kind, sc scale) (Score, error) {
	labels := m.Labels()
	h, err := predictHeldOut(ctx, types, sc, e.Direction, func(others []kind) (predictor, error) {
		f, err := leastNorm(others, labels)
		if err != nil {
			return nil, fmt.Errorf("model %s, refitted: %w", m.Name, err)
		}
		known := map[string]bool{}
		for _, t := range others {
			known[combination(t.labels, labels)] = true
		}
		return func(row map[string]string) (float64, string) {
			if !known[combination(row, labels)] {
				return f.predict(row), unseenTogether
			}
			return f.predict(row), ""
		}, nil
	})
	if err != nil {
		return Score{}, err
	}
	return h.score(m.Name+", refitted without the type", e.Direction), nil
}

// least is a least-squares fit of least norm, by its dual coefficients.
type least struct {
	types  []kind
	labels []string
	alpha  []float64
	mean   float64
	// own are the means of the kernel's rows, all is that of the whole kernel.
	own []float64
	all float64
}

// kernel is the inner product of two types' expansions: the labels and the pairs of labels in which they agree.
func kernel(a, b map[string]string, labels []string) float64 {
	same := 0.0
	for _, l := range labels {
		if a[l] == b[l] {
			same++
		}
	}
	return same + same*(same-1)/2
}

// leastNorm fits the mean of y and, on what is left, the dual problem: the columns' means are taken off the kernel, as scikit-learn takes
// them off the columns.
func leastNorm(types []kind, labels []string) (*least, error) {
	n := len(types)
	f := &least{types: types, labels: labels}
	k := mat.NewSymDense(n, nil)
	y := mat.NewVecDense(n, nil)
	for i, t := range types {
		f.mean += t.y / float64(n)
		for j := range i + 1 {
			k.SetSym(i, j, kernel(t.labels, types[j].labels, labels))
		}
	}
	for i, t := range types {
		y.SetVec(i, t.y-f.mean)
	}
	f.centre(k)
	var eig mat.EigenSym
	if !eig.Factorize(k, true) {
		return nil, errors.New("the eigenvalues of the labels' agreement cannot be found")
	}
	values := eig.Values(nil)
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	alpha := mat.NewVecDense(n, nil)
	for i, v := range values {
		if v <= 1e-9*values[n-1] {
			continue
		}
		u := vectors.ColView(i)
		alpha.AddScaledVec(alpha, mat.Dot(u, y)/v, u)
	}
	f.alpha = alpha.RawVector().Data
	return f, nil
}

// centre takes the means of the columns off the kernel.
func (f *least) centre(k *mat.SymDense) {
	n := k.SymmetricDim()
	f.own = make([]float64, n)
	for i := range n {
		for j := range n {
			f.own[i] += k.At(i, j) / float64(n)
		}
	}
	f.all = stat.Mean(f.own, nil)
	for i := range n {
		for j := range i + 1 {
			k.SetSym(i, j, k.At(i, j)-f.own[i]-f.own[j]+f.all)
		}
	}
}

func (f *least) predict(labels map[string]string) float64 {
	row := make([]float64, len(f.types))
	for i, t := range f.types {
		row[i] = kernel(labels, t.labels, f.labels)
	}
	mean := stat.Mean(row, nil)
	sum := f.mean
	for i, a := range f.alpha {
		sum += a * (row[i] - mean - f.own[i] + f.all)
	}
	return sum
}

func (e *Evaluation) rule(r Rule, types []kind, sc scale) (Score, error) {
	measured, names := measuredOf(types, sc)
	values := make([]float64, len(types))
	for i, t := range types {
		var err error
		if values[i], err = numberOf(t.labels, r.Label); err != nil {
			return Score{}, fmt.Errorf("%s: %s: %w", r.Name, t.name, err)
		}
	}
	s := Score{Name: r.Name, RankCorrelation: directed(spearman(values, measured), r.Direction, e.Direction)}
	s.fill(names, turned(values, r.Direction, e.Direction), measured, e.Direction)
	s.RegretUnseen = s.Regret // it looks at no measurement
	return s, nil
}

// mean predicts the mean of the other types: a pick by chance.
func (e *Evaluation) mean(types []kind, sc scale) Score {
	measured, names := measuredOf(types, sc)
	s := Score{Name: "mean of the others, a pick by chance"}
	s.fill(names, make([]float64, len(types)), measured, e.Direction)
	s.RegretUnseen = s.Regret
	off := 0.0
	for i, t := range types {
		sum := 0.0
		for _, o := range without(types, i) {
			sum += o.y
		}
		off += math.Abs(sc.from(sum/float64(len(types)-1))/sc.from(t.y)-1) / float64(len(types))
	}
	s.MeanError = &off
	return s
}

// bestMeasured picks the best of the measured types: without regret, except where the best one is the one that was not measured.
func (e *Evaluation) bestMeasured(types []kind, sc scale) Score {
	measured, names := measuredOf(types, sc)
	s := Score{Name: "best measured", SawTypes: true}
	s.fill(names, measured, measured, e.Direction)
	unseen := 0.0
	for i := range types {
		without := append([]float64(nil), measured...)
		without[i] = math.NaN()
		if regret, _ := regretOf(without, measured, e.Direction); regret != nil {
			unseen += *regret / float64(len(types))
		}
	}
	s.RegretUnseen = &unseen
	return s
}
