package admit

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/compspec/ocifit-lab/webhook/artifact"
)

// Reasons of denials, as metrics and logs name them.
const (
	ReasonMissingAnnotation   = "missing-annotation"
	ReasonBadAnnotation       = "bad-annotation"
	ReasonNoTarget            = "no-target-image"
	ReasonArtifactUnavailable = "artifact-unavailable"
	ReasonArtifactInvalid     = "artifact-invalid"
	ReasonNotAllowed          = "registry-not-allowed"
	ReasonUnknownModel        = "unknown-model"
	ReasonNoCandidate         = "no-candidate"
	ReasonAmbiguous           = "ambiguous"
	ReasonModelServer         = "model-server"
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
	case errors.Is(err, artifact.ErrNotAllowed):
		return deny(ReasonNotAllowed, http.StatusUnprocessableEntity, "%w", err)
	case errors.Is(err, artifact.ErrReference), errors.Is(err, artifact.ErrContent):
		return deny(ReasonArtifactInvalid, http.StatusUnprocessableEntity, "%w", err)
	}
	return deny(ReasonArtifactUnavailable, http.StatusServiceUnavailable, "%w", err)
}
