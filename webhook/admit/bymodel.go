package admit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/patch"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"github.com/compspec/ocifit-lab/webhook/scheduling"
)

// byModel lets the model that the object names choose the instance type.
func (d *Decider) byModel(ctx context.Context, o *patch.Object, namespace string, a *artifact.Artifact, dryRun bool) (*selection, error) {
	model, tag, err := pick(o, a)
	if err != nil {
		return nil, err
	}
	objective, err := d.objective(o, model)
	if err != nil {
		return nil, err
	}
	if model.Direction == compat.DrawRandom {
		seed, err := d.seeds.forObject(o, namespace, dryRun)
		if err != nil {
			return nil, err
		}
		return d.draw(o, a, model, tag, objective, seed)
	}
	scorer := d.scorer(a, model.Name)
	direction := model.Direction
	switch {
	case objective.Aim == compat.AimTime:
		scorer, direction = d.scorer(a, compat.TimeModel), compat.Minimize
		if scorer == nil {
			return nil, deny(ReasonUnknownModel, http.StatusUnprocessableEntity, "the objective %s needs the model %s, which neither the artifact nor this webhook has", objective, compat.TimeModel)
		}
	case a.Scorers[model.Name] == nil && d.cfg.ModelServer != nil:
		if objective != (compat.Objective{}) {
			return nil, deny(ReasonBadAnnotation, http.StatusUnprocessableEntity, "the annotation %s is for models that the webhook scores with itself; %s is asked of the model server", compat.AnnotationObjective, model.Name)
		}
		table, err := d.ask(ctx, o, model)
		s := d.conclude(a, model, tag, table, err)
		s.decision.Server = d.cfg.ModelServerURL
		return s, nil
	}
	if scorer == nil {
		return nil, deny(ReasonUnknownModel, http.StatusUnprocessableEntity,
			"the artifact asks for the model %q, which neither it nor this webhook has; the webhook has %s", model.Name, strings.Join(d.Models(), ", "))
	}
	return d.cached(cacheKey{model: model, objective: objective.String(), scheduling: o.SchedulingKey()}, func() *selection {
		catalogue := d.cfg.Features.Cached()
		rows, opts, err := d.candidates(o, model, scorer.Domain(catalogue))
		if err != nil {
			return &selection{err: err}
		}
		opts.Catalogue, opts.Objective, opts.Time = catalogue, objective, d.scorer(a, compat.TimeModel)
		table, err := predict.Rank(scorer, direction, rows, opts)
		return d.conclude(a, model, tag, table, err).finish()
	}), nil
}

// scorer is the formula of that name: the artifact's, or else the webhook's own; nil when neither has it.
func (d *Decider) scorer(a *artifact.Artifact, name string) *predict.Model {
	if m := a.Scorers[name]; m != nil {
		return m
	}
	return d.models[name]
}

// objective reads what the object wants to be made best.
func (d *Decider) objective(o *patch.Object, model *compat.Model) (compat.Objective, error) {
	text, _ := o.Annotation(compat.AnnotationObjective)
	objective, err := compat.ParseObjective(text)
	if err != nil {
		return objective, deny(ReasonBadAnnotation, http.StatusUnprocessableEntity, "the annotation %s: %v", compat.AnnotationObjective, err)
	}
	if model.Direction == compat.DrawRandom && objective.Aim != "" {
		return objective, deny(ReasonBadAnnotation, http.StatusUnprocessableEntity,
			"the annotation %s is %q, but a random draw makes nothing best; it can keep bounds such as usd-per-hour<=2.5", compat.AnnotationObjective, text)
	}
	return objective, nil
}

// pick finds the model that the object names in its artifact.
func pick(o *patch.Object, a *artifact.Artifact) (*compat.Model, string, error) {
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

// draw chooses by chance from the pool, which is the same for many objects.
func (d *Decider) draw(o *patch.Object, a *artifact.Artifact, model *compat.Model, tag string, objective compat.Objective, seed uint64) (*selection, error) {
	pool, err := d.cachedPool(cacheKey{model: model, objective: objective.String(), scheduling: o.SchedulingKey()}, func() (*predict.Pool, error) {
		var domain features.Domain
		if objective.NeedsTime() { // the labels that it can judge are wanted
			if m := d.scorer(a, compat.TimeModel); m != nil {
				domain = m.Domain(d.cfg.Features.Cached())
			}
		}
		rows, opts, err := d.candidates(o, model, domain)
		if err != nil {
			return nil, err
		}
		opts.Objective, opts.Time = objective, d.scorer(a, compat.TimeModel)
		return predict.NewPool(rows, opts)
	})
	var table *predict.Table
	if err == nil {
		table, err = pool.Draw(seed)
	}
	return d.conclude(a, model, tag, table, err), nil
}

// ask lets the model server choose, within nine tenths of the time that the admission has left, so that a denial
// still reaches the user.
func (d *Decider) ask(ctx context.Context, o *patch.Object, model *compat.Model) (*predict.Table, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*9/10)
		defer cancel()
	}
	rows, opts, err := d.candidates(o, model, nil)
	if err != nil {
		return nil, err
	}
	return d.cfg.ModelServer.Rank(ctx, model.Name, model.Direction, rows, opts)
}

// candidates lists the types that a model chooses among, and how.
func (d *Decider) candidates(o *patch.Object, model *compat.Model, domain features.Domain) ([]features.Candidate, predict.Options, error) {
	j, err := d.judge(o, false)
	if err != nil {
		return nil, predict.Options{}, err
	}
	excludes := func(c features.Candidate) string {
		if c.Architecture == "" {
			return "no label tells its architecture (" + compat.LabelArch + ")"
		}
		if model.Platforms[c.Architecture] == "" {
			return fmt.Sprintf("the artifact has no image for %s, only for %s", c.Architecture, strings.Join(model.Architectures(), ", "))
		}
		return j.Excludes(c)
	}
	opts := predict.Options{TieBreak: d.cfg.TieBreak, Prices: d.cfg.Prices, Skip: d.cfg.Skip, LeaveOut: excludes}
	return d.cfg.Features.Candidates(domain, excludes, j.Requirements.Labels()), opts, nil
}

// judge reads what the object requires of its nodes.
func (d *Decider) judge(o *patch.Object, strict bool) (*scheduling.Judge, error) {
	r, err := scheduling.Of(o)
	if err != nil {
		return nil, deny(ReasonBadObject, http.StatusUnprocessableEntity, "%w", err)
	}
	return &scheduling.Judge{Requirements: r, Identity: d.cfg.Features.Identity(), Allocatable: d.cfg.Allocatable, Strict: strict}, nil
}

// requirements sums up why types were left out, the reason of most first.
func requirements(out []compat.LeftOut) string {
	types := map[string][]string{}
	for _, l := range out {
		want := scheduling.Requirement(l.Reason)
		types[want] = append(types[want], l.InstanceType)
	}
	wants := slices.SortedFunc(maps.Keys(types), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(types[b]), len(types[a])), cmp.Compare(a, b))
	})
	parts := make([]string, len(wants))
	for i, want := range wants {
		parts[i] = fmt.Sprintf("%d because %s (%s)", len(types[want]), want, predict.Few(types[want]))
	}
	return strings.Join(parts, ", ")
}

// conclude writes down what a table decided.
func (d *Decider) conclude(a *artifact.Artifact, model *compat.Model, tag string, table *predict.Table, err error) *selection {
	s := &selection{table: table}
	if err != nil {
		s.err = denyRank(table, err)
		return s
	}
	chosen, _ := table.Chosen()
	dec := compat.Decision{
		Model: tag, Direction: table.Direction, Objective: table.Objective,
		InstanceType: chosen.InstanceType, Architecture: chosen.Architecture, Image: model.Platforms[chosen.Architecture],
		RunnerUp: table.RunnerUp, Tied: table.Tied, TieBreak: table.TieBreak, Seed: table.Seed,
		ArtifactRef: a.Reference, ArtifactDigest: a.Digest, CatalogueHash: d.cfg.Features.Hash(),
		Candidates: table.Taking(), Skipped: table.Skipped, LeftOut: table.LeftOut,
	}
	for i := range table.Scores {
		l := &table.Scores[i]
		if l.InstanceType == table.Selected {
			dec.Score, dec.Value = l.Score, l.Value
		}
		if len(l.OutOfDomain) > 0 {
			dec.OutOfDomain = append(dec.OutOfDomain, compat.LeftOut{InstanceType: l.InstanceType, Reason: strings.Join(l.OutOfDomain, "; ")})
		}
		if l.Note != "" {
			dec.Cached = append(dec.Cached, compat.LeftOut{InstanceType: l.InstanceType, Reason: l.Note})
		}
	}
	if n := len(dec.OutOfDomain); n > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%d instance types are outside the domain of model %s and were left out; see the annotation %s", n, tag, compat.AnnotationDecision))
	}
	s.decision = dec
	return s
}

// denyRank turns the error of a ranking into a denial; nil stays nil.
func denyRank(table *predict.Table, err error) error {
	var denied *Denial
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return denied
	case errors.Is(err, predict.ErrNoCandidate):
		text := ""
		if table != nil && len(table.LeftOut) > 1 {
			text = "; in all: " + requirements(table.LeftOut)
		}
		return deny(ReasonNoCandidate, http.StatusUnprocessableEntity,
			"%w%s; add types to the catalogue of node features or nodes to the cluster, shorten the skip list, or loosen what the object requires", err, text)
	case errors.Is(err, predict.ErrServer):
		return deny(ReasonModelServer, http.StatusServiceUnavailable, "%w", err)
	}
	return deny(ReasonInternal, http.StatusInternalServerError, "%w", err)
}
