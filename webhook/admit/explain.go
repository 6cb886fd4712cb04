package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/patch"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Explanation is what the webhook would do with an object, and why.
type Explanation struct {
	Kind      patch.Kind `json:"kind"`
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	// Result is "unchanged", "selected" or "denied".
	Result string `json:"result"`
	// Reason and Message explain an unchanged or denied object.
	Reason   string           `json:"reason,omitempty"`
	Message  string           `json:"message,omitempty"`
	Decision *compat.Decision `json:"decision,omitempty"`
	Table    *predict.Table   `json:"table,omitempty"`
	// Machines are what a feature specification was held against.
	Machines []Machine         `json:"machines,omitempty"`
	Patch    []patch.Operation `json:"patch,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
}

// ExplainAll explains every object of a file; see Objects. One of a kind that carries no selection is unchanged.
func (d *Decider) ExplainAll(ctx context.Context, file []byte) ([]*Explanation, error) {
	list, err := objects(file)
	if err != nil {
		return nil, err
	}
	out := make([]*Explanation, 0, len(list))
	for i, raw := range list {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, fmt.Errorf("object %d: %w", i+1, err)
		}
		if !patch.Kind(o.Kind).Valid() {
			out = append(out, &Explanation{
				Kind: patch.Kind(o.Kind), Name: o.Metadata.Name, Namespace: o.Metadata.Namespace, Result: ResultUnchanged,
				Message: fmt.Sprintf("a %s carries no selection; only Pod and MiniCluster do, and what makes pods", o.Kind),
			})
			continue
		}
		e, err := d.Explain(ctx, raw)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", i+1, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// Explain decides for an object (JSON, a Pod or MiniCluster) as a dry run by the code that answers admissions.
// The error is for objects that cannot be read; a denial is an explanation.
func (d *Decider) Explain(ctx context.Context, object []byte) (*Explanation, error) {
	var typ struct {
		Kind patch.Kind `json:"kind"`
	}
	if err := json.Unmarshal(object, &typ); err != nil {
		return nil, fmt.Errorf("the object is not JSON: %w", err)
	}
	o, err := patch.Decode(typ.Kind, object)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Kind: o.Kind, Namespace: "default", Result: ResultUnchanged}
	if m := o.Metadata; m != nil {
		if e.Name = m.Name + m.GenerateName; m.Namespace != "" {
			e.Namespace = m.Namespace
		}
	}
	if !o.Enabled() {
		e.Message = fmt.Sprintf("the label %s is not \"true\"", compat.LabelEnabled)
		return e, nil
	}
	out, err := d.Decide(ctx, o, e.Namespace, true)
	if out != nil {
		e.Table, e.Machines = out.Table.WithFrontier(), out.Machines
	}
	var denial *Denial
	switch {
	case errors.As(err, &denial):
		e.Result, e.Reason, e.Message = ResultDenied, denial.Reason, denial.Message
	case err != nil:
		return nil, err
	case out == nil:
		e.Message = "it has its decision already (annotation " + compat.AnnotationDecision + ")"
	default:
		e.Result, e.Decision, e.Patch, e.Warnings = ResultSelected, &out.Decision, out.Patch, out.Warnings
	}
	return e, nil
}
