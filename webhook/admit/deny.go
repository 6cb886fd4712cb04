package admit

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Reasons of denials, as metrics and logs name them.
const (
	ReasonMissingAnnotation   = "missing-annotation"
	ReasonBadAnnotation       = "bad-annotation"
	ReasonNoTarget            = "no-target-image"
	ReasonArtifactUnavailable = "artifact-unavailable"
	ReasonArtifactInvalid     = "artifact-invalid"
	ReasonUnknownModel        = "unknown-model"
	ReasonNoCandidate         = "no-candidate"
	ReasonBadObject           = "bad-object"
	ReasonInternal            = "internal"
)

// Denial is the error of an object that cannot get a selection.
type Denial struct {
	// Reason is one of the Reason constants.
	Reason string
	// Code is the HTTP status that the API server passes on: 4xx when the object must change, 5xx when trying
	// again may help.
	Code int32
	// Message says what is wrong and what to do.
	Message string
	cause   error
}

func (d *Denial) Error() string { return d.Message }

func (d *Denial) Unwrap() error { return d.cause }

func deny(reason string, code int32, format string, args ...any) *Denial {
	err := fmt.Errorf(format, args...)
	return &Denial{Reason: reason, Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// denySpec turns the error of an artifact source into a denial.
func denySpec(err error) *Denial {
	switch {
	case errors.Is(err, artifact.ErrReference), errors.Is(err, artifact.ErrContent):
		return deny(ReasonArtifactInvalid, http.StatusUnprocessableEntity, "%w", err)
	}
	return deny(ReasonArtifactUnavailable, http.StatusServiceUnavailable, "%w", err)
}

// denyRank turns the error of a ranking into a denial; nil stays nil.
func denyRank(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, predict.ErrNoCandidate):
		return deny(ReasonNoCandidate, http.StatusUnprocessableEntity,
			"%w; add types to the catalogue of node features or nodes to the cluster, shorten the skip list, or loosen the node selector", err)
	}
	return deny(ReasonInternal, http.StatusInternalServerError, "%w", err)
}
