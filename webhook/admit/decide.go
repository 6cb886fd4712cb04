// Package admit decides: it turns an object that asks for a selection into a decision, a patch and an admission
// response, or into a denial that says what to do.
package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"

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
	// Candidates returns one row per type for a model's domain (nil: whatever is live wins). excludes says why the object
	// cannot use a machine; reads lists the labels that it looks at.
	Candidates(domain features.Domain, excludes func(features.Candidate) string, reads []string) []features.Candidate
	// Machines returns a row for every machine that differs in the needed labels.
	Machines(needs []string, excludes func(features.Candidate) string, reads []string) []features.Candidate
	// Cached returns the catalogue's rows.
	Cached() []features.Candidate
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
	// Seed is the base of the seeds of random draws, which makes them repeatable; 0 draws afresh each time.
	Seed uint64
	// Allocatable is what nodes of a type can give to pods, by type, for types without a live node.
	Allocatable map[string]corev1.ResourceList
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
	// Kept says that the decision is the recorded one, put back into an object that was changed.
	Kept bool
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
	return d.decide(ctx, o, o, namespace, "", dryRun)
}

// decide selects by what asks requires and writes the decision into o, in the place of the target image and of the
// image of a former decision, if there was one.
func (d *Decider) decide(ctx context.Context, o, asks *patch.Object, namespace, former string, dryRun bool) (*Outcome, error) {
	ref, ok := o.Annotation(compat.AnnotationImageRef)
	if !ok || ref == "" {
		return nil, deny(ReasonMissingAnnotation, http.StatusUnprocessableEntity,
			"the annotation %s is missing: set it to the compatibility artifact, e.g. registry/repository:tag", compat.AnnotationImageRef)
	}
	a, err := d.cfg.Specs.Get(ctx, ref)
	if err != nil {
		return nil, denySpec(err)
	}
	if a.Models != nil {
		if tag, ok := o.Annotation(compat.AnnotationModel); ok && tag != "" {
			a = d.confirmed(ctx, a, ref, tag)
		}
	}
	var s *selection
	if a.Features != nil {
		s = d.byFeatures(asks, a)
	} else {
		s, err = d.byModel(ctx, asks, namespace, a, dryRun)
	}
	switch {
	case err != nil:
		return nil, err
	case s.err != nil:
		return &Outcome{Table: s.table, Machines: s.machines}, s.err
	}
	return d.outcome(o, a, s, former)
}

// confirmed looks for another artifact of that name when the one at hand lacks a model: it may have been pushed a moment ago.
func (d *Decider) confirmed(ctx context.Context, a *artifact.Artifact, ref, tag string) *artifact.Artifact {
	again, can := d.cfg.Specs.(interface {
		Confirm(ctx context.Context, ref string) (*artifact.Artifact, error)
	})
	if _, has := a.Models.Find(tag); has || !can {
		return a
	}
	if now, err := again.Confirm(ctx, ref); err == nil && now.Models != nil {
		return now
	}
	return a
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
func (d *Decider) outcome(o *patch.Object, a *artifact.Artifact, s *selection, former string) (*Outcome, error) {
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
	c := d.change(o, &out.Decision, text)
	c.FormerImage = former
	out.Patch = patch.Restore(o, c)
	return out, nil
}

// change is what a decision does to an object.
func (d *Decider) change(o *patch.Object, dec *compat.Decision, text string) patch.Change {
	c := patch.Change{
		TargetImage: o.TargetImage(), Image: dec.Image,
		Annotations: map[string]string{compat.AnnotationDecision: text},
	}
	if dec.Direction != compat.ByFeatures {
		c.NodeSelector = map[string]string{d.cfg.Features.Identity(): dec.InstanceType}
	}
	if dec.Architecture != "" {
		c.FluxView = compat.FluxViewImage(dec.Architecture)
	}
	return c
}
