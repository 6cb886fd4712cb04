// Package admit decides: it turns an object that asks for a selection into a decision, a patch and an admission
// response, or into a denial that says what to do.
package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

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
	// Hash identifies the catalogue.
	Hash() string
	// Identity is the label that nodes are selected by.
	Identity() string
}

// Config is what a Decider decides with.
type Config struct {
	Specs    SpecSource
	Features FeatureSource
	Models   []*predict.Model
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
	// Table has every candidate, scored or left out.
	Table *predict.Table
	Patch []patch.Operation
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
	model, tag, err := pick(o, a)
	if err != nil {
		return nil, err
	}
	table, err := d.rank(o, namespace, model, dryRun)
	if err != nil {
		return &Outcome{Table: table}, err
	}
	return d.outcome(o, a, model, tag, table)
}

// pick finds the model that the object names in its artifact.
func pick(o *patch.Object, a *artifact.Artifact) (*compat.Model, string, error) {
	if a.Models == nil {
		return nil, "", deny(ReasonArtifactInvalid, http.StatusUnprocessableEntity,
			"artifact %s is a feature specification (%s), which this webhook does not evaluate: name a model artifact (%s)", a.Reference, a.MediaType, compat.MediaTypeModels)
	}
	tag, ok := o.Annotation(compat.AnnotationModel)
	if !ok || tag == "" {
		return nil, "", deny(ReasonMissingAnnotation, http.StatusUnprocessableEntity,
			"the annotation %s is missing: set it to one of %s", compat.AnnotationModel, strings.Join(a.Models.Tags(), ", "))
	}
	m, ok := a.Models.Find(tag)
	if !ok {
		return nil, "", deny(ReasonUnknownModel, http.StatusUnprocessableEntity,
			"artifact %s has no model %q; it has %s", a.Reference, tag, strings.Join(a.Models.Tags(), ", "))
	}
	return m, tag, nil
}

// rank scores or draws. The table comes back also with an error, as far as there is one.
func (d *Decider) rank(o *patch.Object, namespace string, model *compat.Model, dryRun bool) (*predict.Table, error) {
	opts := predict.Options{TieBreak: d.cfg.TieBreak, Prices: d.cfg.Prices, Skip: d.cfg.Skip, LeaveOut: d.leaveOut(o, model)}
	var table *predict.Table
	if model.Direction == compat.DrawRandom {
		seed, err := d.seeds.forObject(o, namespace, dryRun)
		if err != nil {
			return nil, err
		}
		table, err = predict.Draw(seed, d.cfg.Features.Candidates(nil), opts)
		return table, denyRank(err)
	}
	m := d.models[model.Name]
	if m == nil {
		return nil, deny(ReasonUnknownModel, http.StatusUnprocessableEntity,
			"the artifact asks for the model %q, which this webhook does not have; it has %s", model.Name, strings.Join(d.Models(), ", "))
	}
	table, err := predict.Rank(m, model.Direction, d.cfg.Features.Candidates(m), opts)
	return table, denyRank(err)
}

// leaveOut says which candidates the object cannot use, whatever their score.
func (d *Decider) leaveOut(o *patch.Object, model *compat.Model) func(features.Candidate) string {
	selector := o.NodeSelector()
	identity := d.cfg.Features.Identity()
	return func(c features.Candidate) string {
		if c.Architecture == "" {
			return "no label tells its architecture (" + compat.LabelArch + ")"
		}
		if model.Platforms[c.Architecture] == "" {
			return fmt.Sprintf("the artifact has no image for %s, only for %s", c.Architecture, strings.Join(model.Architectures(), ", "))
		}
		for k, want := range selector {
			have, there := c.Labels[k]
			describes := k == identity || k == compat.LabelInstanceType || k == compat.LabelArch || strings.HasPrefix(k, compat.FeaturePrefix)
			if describes && have != want {
				if !there {
					have = "no such label"
				}
				return fmt.Sprintf("the object's node selector wants %s=%s, nodes of this type have %s", k, want, have)
			}
		}
		return ""
	}
}

// outcome writes down what was decided and builds the patch.
func (d *Decider) outcome(o *patch.Object, a *artifact.Artifact, model *compat.Model, tag string, table *predict.Table) (*Outcome, error) {
	chosen, _ := table.Chosen()
	dec := compat.Decision{
		Model: tag, Direction: model.Direction,
		InstanceType: chosen.InstanceType, Architecture: chosen.Architecture, Image: model.Platforms[chosen.Architecture],
		RunnerUp: table.RunnerUp, Tied: table.Tied, TieBreak: table.TieBreak, Seed: table.Seed,
		ArtifactRef: a.Reference, ArtifactDigest: a.Digest, CatalogueHash: d.cfg.Features.Hash(),
		Candidates: table.Taking(), Skipped: table.Skipped, LeftOut: table.LeftOut,
	}
	for _, l := range table.Scores {
		if l.InstanceType == table.Selected {
			dec.Score = l.Score
		}
		if len(l.OutOfDomain) > 0 {
			dec.OutOfDomain = append(dec.OutOfDomain, compat.LeftOut{InstanceType: l.InstanceType, Reason: strings.Join(l.OutOfDomain, "; ")})
		}
		if l.Note != "" {
			dec.Cached = append(dec.Cached, compat.LeftOut{InstanceType: l.InstanceType, Reason: l.Note})
		}
	}
	out := &Outcome{Table: table}
	if a.Stale != "" {
		dec.Notes = append(dec.Notes, "the artifact is the last good copy, "+a.Stale)
		out.Warnings = append(out.Warnings, "the artifact's registry is not available; its last good copy was used")
	}
	if n := len(dec.OutOfDomain); n > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d instance types are outside the domain of model %s and were left out; see the annotation %s", n, tag, compat.AnnotationDecision))
	}
	out.Decision = dec
	record, err := dec.Annotation()
	if err != nil {
		return out, deny(ReasonInternal, http.StatusInternalServerError, "%v", err)
	}
	out.Patch, err = patch.Build(o, patch.Change{
		NodeSelector: map[string]string{d.cfg.Features.Identity(): chosen.InstanceType},
		TargetImage:  o.TargetImage(), Image: dec.Image, FluxView: compat.FluxViewImage(chosen.Architecture),
		Annotations: map[string]string{compat.AnnotationDecision: record},
	})
	if err != nil {
		return out, deny(ReasonInternal, http.StatusInternalServerError, "%v", err)
	}
	return out, nil
}
