// Package admit decides: it turns an object that asks for a selection into a decision, a patch and an admission
// response, or into a denial that says what to do.
package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/patch"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// SpecSource gives out compatibility artifacts; *artifact.Cache is one.
type SpecSource interface {
	Get(ctx context.Context, ref string) (*artifact.Artifact, error)
}

// FeatureSource knows the instance types; *features.Index is one.
type FeatureSource interface {
	// Candidates returns one row per type for a model's domain (nil: whatever is live wins).
	Candidates(domain features.Domain) []features.Candidate
	// Matching returns the machines that a pod with the selector may meet, told apart by the declared labels.
	Matching(selector map[string]string, declared []string) []features.Candidate
	// Generation changes whenever the two above may give another answer.
	Generation() uint64
	// Hash identifies the catalogue.
	Hash() string
	// Identity is the label that nodes are selected by.
	Identity() string
}

// Ranker is a model server; *predict.Client is one.
type Ranker interface {
	Rank(ctx context.Context, model string, direction compat.Direction, candidates []features.Candidate, opts predict.Options) (*predict.Table, error)
}

// Config is what a Decider decides with.
type Config struct {
	Specs    SpecSource
	Features FeatureSource
	Models   []*predict.Model
	// ModelServer, if set, chooses instead of Models, at ModelServerURL. Formulas that an artifact brings along are still used,
	// and draws are still this process's.
	ModelServer    Ranker
	ModelServerURL string
	// Prices in USD per hour by instance type, for ties.
	Prices map[string]float64
	// Skip names instance types that are never chosen.
	Skip []string
	// TieBreak is predict.TieBreakPrice (also when empty) or predict.TieBreakFirst.
	TieBreak string
	// Seed is the base of the seeds of random draws.
	Seed uint64
}

// Decider makes selections. It is safe for concurrent use.
type Decider struct {
	cfg    Config
	models map[string]*predict.Model
	seeds  seeder
	cache  cache
}

// New returns a Decider.
func New(cfg Config) (*Decider, error) {
	if cfg.Specs == nil || cfg.Features == nil {
		return nil, errors.New("a decider needs a source of artifacts and a source of features")
	}
	switch cfg.TieBreak {
	case "", predict.TieBreakPrice, predict.TieBreakFirst:
	default:
		return nil, fmt.Errorf("tie-break is %q, must be %s or %s", cfg.TieBreak, predict.TieBreakPrice, predict.TieBreakFirst)
	}
	d := &Decider{cfg: cfg, models: make(map[string]*predict.Model, len(cfg.Models)), seeds: seeder{base: cfg.Seed}}
	for _, m := range cfg.Models {
		if d.models[m.Name] != nil {
			return nil, fmt.Errorf("two models are called %q", m.Name)
		}
		d.models[m.Name] = m
	}
	return d, nil
}

// Models lists the names of the models that can score, sorted.
func (d *Decider) Models() []string {
	names := make([]string, 0, len(d.models))
	for n := range d.models {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Outcome is a selection and how it came about.
type Outcome struct {
	Decision compat.Decision
	// Table has every candidate, scored or left out; nil for a selection by features. It is shared.
	Table *predict.Table
	// Machines are what a selection by features looked at.
	Machines []Machine
	Patch    []patch.Operation
	// Warnings are sentences for the person who created the object.
	Warnings []string
}

// Decide selects for an object that asks for it. A nil outcome without error means that the object has its
// selection already (the pods of a MiniCluster do). The error, a *Denial, says why nothing can be selected;
// the outcome then holds the table as far as there is one. A dry run leaves no trace in d.
func (d *Decider) Decide(ctx context.Context, o *patch.Object, namespace string, dryRun bool) (*Outcome, error) {
	target := o.TargetImage()
	if o.Targets(target) == 0 {
		if _, decided := o.Annotation(compat.AnnotationDecision); decided {
			return nil, nil
		}
		return nil, deny(ReasonNoTarget, http.StatusUnprocessableEntity,
			"no container uses the image %q that the selection replaces: use it as image, or name yours in the annotation %s", target, compat.AnnotationTargetImage)
	}
	ref, ok := o.Annotation(compat.AnnotationImageRef)
	if !ok || ref == "" {
		return nil, deny(ReasonMissingAnnotation, http.StatusUnprocessableEntity,
			"the annotation %s is missing: set it to the compatibility artifact, e.g. registry/repository:tag", compat.AnnotationImageRef)
	}
	a, err := d.cfg.Specs.Get(ctx, ref)
	if err != nil {
		return nil, denySpec(err)
	}
	var s *selection
	if a.Features != nil {
		s = d.byFeatures(o, a)
	} else {
		s, err = d.byModel(ctx, o, namespace, a, dryRun)
	}
	switch {
	case err != nil:
		return nil, err
	case s.err != nil:
		return &Outcome{Table: s.table, Machines: s.machines}, s.err
	}
	return d.outcome(o, a, s)
}

// selection is a decision before it is written into an object. Selections are shared and do not change.
type selection struct {
	// err, a *Denial, says why there is no decision.
	err      error
	decision compat.Decision
	table    *predict.Table
	machines []Machine
	warnings []string
	// record is the decision's annotation; empty when it was not written yet.
	record string
}

// finish writes the record, once for all objects that get this selection.
func (s *selection) finish() *selection {
	if s.err == nil {
		s.record, s.err = record(s.decision)
	}
	return s
}

func record(dec compat.Decision) (string, error) {
	text, err := dec.Annotation()
	if err != nil {
		return "", deny(ReasonInternal, http.StatusInternalServerError, "%v", err)
	}
	return text, nil
}

// outcome builds the patch.
func (d *Decider) outcome(o *patch.Object, a *artifact.Artifact, s *selection) (*Outcome, error) {
	out := &Outcome{Decision: s.decision, Table: s.table, Machines: s.machines, Warnings: s.warnings}
	text, err := s.record, error(nil)
	if a.Stale != "" {
		out.Decision.Notes = append(slices.Clone(out.Decision.Notes), "the artifact is the last good copy, "+a.Stale)
		out.Warnings = append(slices.Clone(out.Warnings), "the artifact's registry is not available; its last good copy was used")
		text = ""
	}
	if text == "" {
		if text, err = record(out.Decision); err != nil {
			return out, err
		}
	}
	c := patch.Change{
		TargetImage: o.TargetImage(), Image: out.Decision.Image,
		Annotations: map[string]string{compat.AnnotationDecision: text},
	}
	if out.Decision.Direction != compat.ByFeatures {
		c.NodeSelector = map[string]string{d.cfg.Features.Identity(): out.Decision.InstanceType}
	}
	if arch := out.Decision.Architecture; arch != "" {
		c.FluxView = compat.FluxViewImage(arch)
	}
	if out.Patch, err = patch.Build(o, c); err != nil {
		return out, deny(ReasonInternal, http.StatusInternalServerError, "%v", err)
	}
	return out, nil
}
