package admit

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/patch"
)

// asked are the annotations that a decision follows from.
var asked = []string{compat.AnnotationImageRef, compat.AnnotationModel, compat.AnnotationObjective, compat.AnnotationTargetImage, compat.AnnotationSeed}

// Update keeps the decision of an object that is changed: whoever applies its manifest again writes the target image
// back. As long as the annotations ask for the same, the recorded decision is put back as it was, without asking anyone.
// A MiniCluster whose annotations ask for something else gets a new decision; of a pod only the image may change, so it
// keeps its decision, and the warning says so. A nil outcome means that there is nothing to do.
func (d *Decider) Update(ctx context.Context, o, old *patch.Object, namespace string, dryRun bool) (*Outcome, error) {
	text, decided := old.Annotation(compat.AnnotationDecision)
	record, err := compat.ParseDecision(text)
	if !decided || err != nil {
		return d.undecided(ctx, o, namespace, dryRun)
	}
	change := d.changed(o, old, record)
	switch {
	case change == "":
		return d.keep(o, record, text), nil
	case o.Kind == patch.MiniCluster, record.Direction == compat.ByFeatures:
		return d.decide(ctx, o, d.withoutDecision(o, record), namespace, record.Image, dryRun)
	}
	out := d.keep(o, record, text)
	if out == nil {
		out = &Outcome{Decision: *record}
	}
	out.Warnings = append(out.Warnings, fmt.Sprintf("%s, but a pod's node selector cannot change: the decision for %s stays; delete the pod and create it again", change, record.InstanceType))
	return out, nil
}

// undecided treats an object without a decision: it was created while the webhook was away, or labelled later.
func (d *Decider) undecided(ctx context.Context, o *patch.Object, namespace string, dryRun bool) (*Outcome, error) {
	if o.Targets(o.TargetImage()) == 0 {
		return nil, nil
	}
	if o.Kind == patch.MiniCluster {
		return d.Decide(ctx, o, namespace, dryRun)
	}
	return &Outcome{Warnings: []string{"the pod has no decision, and its node selector can no longer be set: delete it and create it again"}}, nil
}

// changed says what an object asks for otherwise than its decision's; empty when it asks for the same.
func (d *Decider) changed(o, old *patch.Object, record *compat.Decision) string {
	for _, name := range asked {
		was, _ := old.Annotation(name)
		if is, _ := o.Annotation(name); is != was {
			return fmt.Sprintf("the annotation %s changed from %q to %q", name, was, is)
		}
	}
	identity := d.cfg.Features.Identity()
	if is, ok := o.NodeSelector()[identity]; ok && o.Kind == patch.MiniCluster && record.Direction != compat.ByFeatures && is != record.InstanceType {
		return fmt.Sprintf("the node selector %s changed from %q to %q", identity, record.InstanceType, is)
	}
	return ""
}

// keep puts a recorded decision back; nil when nothing of it is missing.
func (d *Decider) keep(o *patch.Object, record *compat.Decision, text string) *Outcome {
	c := d.change(o, record, text)
	if o.Spec != nil && o.Spec.Flux != nil && o.Spec.Flux.Container != nil && o.Spec.Flux.Container.Image != "" {
		c.FluxView = "" // the user's own since
	}
	ops := patch.Restore(o, c)
	if len(ops) == 0 {
		return nil
	}
	return &Outcome{Decision: *record, Patch: ops, Kept: true}
}

// withoutDecision is the object as its author wrote it: without the node selector that the decision added.
func (d *Decider) withoutDecision(o *patch.Object, record *compat.Decision) *patch.Object {
	identity := d.cfg.Features.Identity()
	own := "the object's node selector wants " + identity + "="
	for _, l := range record.LeftOut {
		if strings.HasPrefix(l.Reason, own) {
			return o // it named the type itself
		}
	}
	if record.Direction == compat.ByFeatures || o.NodeSelector()[identity] != record.InstanceType {
		return o
	}
	return o.WithoutSelector(identity)
}

// decodeBoth reads both versions of an object that is changed; nil without a former one.
func decodeBoth(kind patch.Kind, raw, oldRaw []byte) (o, old *patch.Object, err error) {
	if len(oldRaw) == 0 {
		return nil, nil, nil
	}
	if o, err = patch.Decode(kind, raw); err != nil {
		return nil, nil, deny(ReasonBadObject, http.StatusBadRequest, "%w", err)
	}
	if old, err = patch.Decode(kind, oldRaw); err != nil {
		return nil, nil, deny(ReasonBadObject, http.StatusBadRequest, "the object as it was: %w", err)
	}
	return o, old, nil
}
