package admit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/compspec/ocifit-lab/webhook/patch"
)

// Results of a review, as metrics and logs name them.
const (
	ResultUnchanged = "unchanged"
	ResultSelected  = "selected"
	ResultDenied    = "denied"
	// ResultKept is the result of a change that would have taken a decision back.
	ResultKept = "kept"
)

// Report tells what a review did, for logs and metrics.
type Report struct {
	Kind, Namespace, Name string
	DryRun                bool
	// Result is one of the Result constants; Reason one of the Reason constants when denied.
	Result, Reason string
	Message        string
	// Regarding is the object that an event should be about: the one under review or, while that has no name yet,
	// the controller that makes it.
	Regarding corev1.ObjectReference
	// Outcome is set when something was selected, and when the denial has a table.
	Outcome *Outcome
}

// Review answers an admission request: a new object gets a decision, a changed one keeps it. Objects that do not ask for
// a selection or are being deleted, other kinds, other operations and subresources pass unchanged.
func (d *Decider) Review(ctx context.Context, req *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, Report) {
	r := Report{Kind: req.Kind.Kind, Namespace: req.Namespace, Name: req.Name, Result: ResultUnchanged}
	r.DryRun = req.DryRun != nil && *req.DryRun
	resp := &admissionv1.AdmissionResponse{UID: req.UID, Allowed: true}
	kind := patch.Kind(req.Kind.Kind)
	if req.SubResource != "" || !kind.Valid() {
		return resp, r
	}
	var o *patch.Object
	var out *Outcome
	var err error
	switch req.Operation {
	case admissionv1.Create:
		if o, err = patch.Decode(kind, req.Object.Raw); err != nil {
			return refuse(resp, r, deny(ReasonBadObject, http.StatusBadRequest, "%w", err))
		}
		if !o.Enabled() {
			return resp, r
		}
		r.name(o, req)
		out, err = d.Decide(ctx, o, req.Namespace, r.DryRun)
	case admissionv1.Update:
		var old *patch.Object
		if o, old, err = decodeBoth(kind, req.Object.Raw, req.OldObject.Raw); err != nil {
			return refuse(resp, r, err)
		}
		if o == nil || !o.Enabled() || o.Deleting() {
			return resp, r
		}
		r.name(o, req)
		out, err = d.Update(ctx, o, old, req.Namespace, r.DryRun)
	default:
		return resp, r
	}
	r.Outcome = out
	switch {
	case err != nil:
		return refuse(resp, r, err)
	case out == nil:
		return resp, r
	}
	resp.Warnings = out.Warnings
	if len(out.Patch) == 0 {
		return resp, r
	}
	if resp.Patch, err = json.Marshal(out.Patch); err != nil {
		return refuse(resp, r, deny(ReasonInternal, http.StatusInternalServerError, "encode the patch: %w", err))
	}
	jsonPatch := admissionv1.PatchTypeJSONPatch
	resp.PatchType = &jsonPatch
	if r.Result = ResultSelected; out.Kept {
		r.Result = ResultKept
	}
	return resp, r
}

// name fills in what the report is about.
func (r *Report) name(o *patch.Object, req *admissionv1.AdmissionRequest) {
	if r.Name == "" {
		r.Name = o.Metadata.Name + o.Metadata.GenerateName
	}
	r.Regarding = regarding(o, req)
}

// regarding finds an object with a name. An object under review has no uid yet.
func regarding(o *patch.Object, req *admissionv1.AdmissionRequest) corev1.ObjectReference {
	ref := corev1.ObjectReference{
		APIVersion: schema.GroupVersion{Group: req.Kind.Group, Version: req.Kind.Version}.String(),
		Kind:       req.Kind.Kind, Namespace: req.Namespace, Name: o.Metadata.Name,
	}
	if ref.Name != "" {
		return ref
	}
	if owner, ok := o.Controller(); ok && owner.Name != "" {
		return corev1.ObjectReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Namespace: req.Namespace, Name: owner.Name, UID: types.UID(owner.UID)}
	}
	ref.Name = strings.TrimRight(o.Metadata.GenerateName, "-")
	return ref
}

// refuse turns the response into a denial.
func refuse(resp *admissionv1.AdmissionResponse, r Report, err error) (*admissionv1.AdmissionResponse, Report) {
	var d *Denial
	if !errors.As(err, &d) {
		d = deny(ReasonInternal, http.StatusInternalServerError, "%w", err)
	}
	resp.Allowed, resp.Patch, resp.PatchType = false, nil, nil
	resp.Result = &metav1.Status{Status: metav1.StatusFailure, Message: "ocifit: " + d.Message, Code: d.Code, Reason: statusReason(d.Code)}
	r.Result, r.Reason, r.Message = ResultDenied, d.Reason, d.Message
	return resp, r
}

func statusReason(code int32) metav1.StatusReason {
	switch code {
	case http.StatusBadRequest:
		return metav1.StatusReasonBadRequest
	case http.StatusServiceUnavailable:
		return metav1.StatusReasonServiceUnavailable
	case http.StatusUnprocessableEntity:
		return metav1.StatusReasonInvalid
	}
	return metav1.StatusReasonInternalError
}
