package report

import (
	"context"
	"fmt"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/training"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// heldOut judges the study's models on instance types that they did not see.
func heldOut(ctx context.Context, s *study.Study) (*training.Matrix, error) {
	if s.Application != study.DefaultApplication {
		return nil, nil
	}
	rows, err := features.ParseCatalogue(templates.NodeFeatures(nil))
	if err != nil {
		return nil, err
	}
	var models []string
	for _, arm := range s.Arms {
		models = append(models, arm.Model)
	}
	return training.OnMatrix(ctx, models, rows)
}

// heldOutText says how far the models' choices can be believed beyond the types that they were fitted on.
func heldOutText(e *training.Matrix) string {
	if e == nil {
		return ""
	}
	score := func(s training.Score) string {
		return fmt.Sprintf("%s, %s", rankText(s.RankCorrelation), regretText(s.Regret))
	}
	return fmt.Sprintf("Whether a model tells of instance types that it did not see is shown by the mean %s of %d types in the study's published matrix. Rank correlation between prediction and measurement, and how far the picked type is below the best: %s, by models of the same labels fitted to these means without the type that they predict; %s, by the models as published, which saw all types.",
		e.Unit, e.Types, byModel(e, func(m *training.MatrixModel) string { return score(m.Unseen) }), byModel(e, func(m *training.MatrixModel) string { return score(m.Published) }))
}

// byModel lists what is said of each model; models of which the same is said stand together.
func byModel(e *training.Matrix, of func(*training.MatrixModel) string) string {
	names := map[string][]string{}
	var order []string
	for i := range e.Models {
		text := of(&e.Models[i])
		if names[text] == nil {
			order = append(order, text)
		}
		names[text] = append(names[text], e.Models[i].Name)
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, text := range order {
		order[i] = fmt.Sprintf("%s (%s)", text, strings.Join(names[text], ", "))
	}
	return strings.Join(order, "; ")
}

func rankText(r *float64) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *r)
}
