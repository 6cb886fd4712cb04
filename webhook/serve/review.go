package serve

import (
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/compspec/ocifit-lab/webhook/rawjson"
)

// decodeReview reads the part of an AdmissionReview that is checked at. The object stays as it is written, and a part
// of the body.
func decodeReview(body []byte) (*admissionv1.AdmissionReview, error) {
	r := rawjson.New(body)
	var review admissionv1.AdmissionReview
	err := r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "kind":
			review.Kind, err = r.OptionalString()
		case "apiVersion":
			review.APIVersion, err = r.OptionalString()
		case "request":
			if !r.Null() {
				review.Request, err = decodeRequest(r)
			}
		default:
			err = r.Skip()
		}
		return err
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("the body is not an AdmissionReview: %w", err)
	}
	if gv := admissionv1.SchemeGroupVersion.String(); review.Kind != "AdmissionReview" || review.APIVersion != gv {
		return nil, fmt.Errorf("the body is a %q of %q, must be an AdmissionReview of %q", review.Kind, review.APIVersion, gv)
	}
	if review.Request == nil {
		return nil, errors.New("the AdmissionReview has no request")
	}
	return &review, nil
}

func decodeRequest(r *rawjson.Reader) (*admissionv1.AdmissionRequest, error) {
	q := &admissionv1.AdmissionRequest{}
	var uid, operation string
	err := r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "uid":
			uid, err = r.OptionalString()
		case "operation":
			operation, err = r.OptionalString()
		case "subResource":
			q.SubResource, err = r.OptionalString()
		case "name":
			q.Name, err = r.OptionalString()
		case "namespace":
			q.Namespace, err = r.OptionalString()
		case "dryRun":
			q.DryRun, err = optionalBool(r)
		case "kind":
			q.Kind.Group, q.Kind.Version, q.Kind.Kind, err = decodeKind(r)
		case "object":
			if !r.Null() {
				q.Object.Raw, err = r.Raw()
			}
		case "oldObject":
			if !r.Null() {
				q.OldObject.Raw, err = r.Raw()
			}
		default:
			err = r.Skip()
		}
		return err
	})
	q.UID, q.Operation = types.UID(uid), admissionv1.Operation(operation)
	return q, err
}

func optionalBool(r *rawjson.Reader) (*bool, error) {
	if r.Null() {
		return nil, nil
	}
	b, err := r.Bool()
	return &b, err
}

func decodeKind(r *rawjson.Reader) (group, version, kind string, err error) {
	if r.Null() {
		return "", "", "", nil
	}
	err = r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "group":
			group, err = r.OptionalString()
		case "version":
			version, err = r.OptionalString()
		case "kind":
			kind, err = r.OptionalString()
		default:
			err = r.Skip()
		}
		return err
	})
	return group, version, kind, err
}
