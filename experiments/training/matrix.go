package training

import (
	"context"
	"fmt"
	"slices"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Matrix is how well published models order the types of the study's published matrix.
type Matrix struct {
	Unit   string        `json:"unit"`
	Types  int           `json:"types"`
	Models []MatrixModel `json:"models"`
}

// MatrixModel is a model as it was published, having seen the types, and models of its labels that did not see the type they predict.
type MatrixModel struct {
	Name      string `json:"name"`
	Published Score  `json:"published"`
	Unseen    Score  `json:"unseen"`
}

// OnMatrix holds the study's published models of those names against the mean ratings of HPCG in its published matrix, one for each
// instance type. Names that are no published model are passed over; without any the matrix is nil. Rows are the node features of the types.
func OnMatrix(ctx context.Context, names []string, rows []features.Candidate) (*Matrix, error) {
	published, err := predict.Published()
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(published, func(m *predict.Model) bool { return !slices.Contains(names, m.Name) })
	if len(chosen) == 0 {
		return nil, nil
	}
	rules, err := predict.Rules()
	if err != nil {
		return nil, err
	}
	means := predict.Named(rules, predict.BestMeasured)
	if means == nil {
		return nil, fmt.Errorf("the program has no model %s", predict.BestMeasured)
	}
	var samples []Sample
	for _, c := range rows {
		if mean, unknown := means.Score(c.Labels); len(unknown) == 0 {
			samples = append(samples, Sample{InstanceType: c.InstanceType, Labels: c.Labels, Value: mean})
		}
	}
	types, sc, err := kinds(samples)
	if err != nil {
		return nil, err
	}
	e := &Evaluation{Direction: compat.Maximize}
	out := &Matrix{Unit: "GFLOP/s", Types: len(types)}
	for _, m := range chosen {
		unseen, err := e.refit(ctx, m, types, sc)
		if err != nil {
			return nil, err
		}
		out.Models = append(out.Models, MatrixModel{m.Name, e.judge(m, types, sc), unseen})
	}
	return out, nil
}
