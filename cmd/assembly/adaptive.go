package assembly

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/experiments/adaptive"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/templates"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Search is the search of an adaptive study over the types that the webhook may choose, and the figure that it is about.
func (l *Lab) Search(s *study.Study) (search *adaptive.Search, figure string, err error) {
	rule := adaptive.Rule{Direction: compat.Direction(s.Adaptive.Direction), First: s.Adaptive.First, Most: s.Adaptive.Most, Improvement: s.Adaptive.Improvement, Doubt: s.Adaptive.Doubt}
	if figure = s.Adaptive.Figure; figure == "" {
		parser, err := s.LogParser()
		if err != nil {
			return nil, "", err
		}
		metric := parser.Metric()
		figure, rule.Direction = metric.Key, compat.Minimize
		if metric.HigherIsBetter {
			rule.Direction = compat.Maximize
		}
	}
	prices, _ := templates.Prices()
	t := l.times(s)
	hours := (t.Start + t.Run).Hours() * float64(s.Adaptive.Trials)
	chooseable := l.chooseable()
	var types []adaptive.Type
	for _, it := range templates.InstanceTypes() {
		if !slices.Contains(chooseable, it.Name) {
			continue
		}
		one := adaptive.Type{Name: it.Name, USD: prices[it.Name] * hours}
		for _, fact := range templates.HardwareFacts() {
			v, err := strconv.ParseFloat(it.Facts[fact], 64)
			if err != nil || v <= 0 {
				return nil, "", fmt.Errorf("%s: %s is %q in the catalogue", it.Name, fact, it.Facts[fact])
			}
			one.Numbers = append(one.Numbers, math.Log(v))
		}
		arm := 0.0
		if it.Architecture == "arm64" {
			arm = 1
		}
		one.Numbers = append(one.Numbers, arm)
		types = append(types, one)
	}
	search, err = adaptive.New(types, rule)
	return search, figure, err
}

// Learn writes a model to a file and makes the lab's artifact of the study, which has it beside all others, the one that trials name from
// now on.
func (l *Lab) Learn(ctx context.Context, s *study.Study, m *predict.Model, file string) error {
	data, err := predict.EncodeModel(m)
	if err != nil {
		return err
	}
	if err := atomicfile.Output(file, data, 0o644); err != nil {
		return err
	}
	bundle, err := compatibility.Build(l.Spec.Artifact.Images, append(slices.Clone(l.Spec.Artifact.Models), file))
	if err != nil {
		return err
	}
	l.Spec.Artifact.Tag += "-" + s.Name
	target, err := l.ArtifactTarget(ctx)
	if err != nil {
		return err
	}
	_, err = oci.PushBundle(ctx, target.Ref, bundle, target.Options())
	return err
}

// LearntFile is where an adaptive study keeps what it learnt.
func LearntFile(dir string) string { return filepath.Join(dir, "model.json") }
