package ui

import (
	"errors"
	"strings"

	"github.com/compspec/ocifit-lab/provision/step"
)

// state names how a step ended.
func state(r step.Result) string {
	switch {
	case r.Skipped:
		return "skipped"
	case r.Err == nil:
		return "done"
	case errors.Is(r.Err, step.ErrInterrupted):
		return "stopped"
	case errors.Is(r.Err, step.ErrTimeout):
		return "timeout"
	}
	return "failed"
}

// outcome says in words how a step ended.
func outcome(name string, r step.Result) string {
	switch state(r) {
	case "skipped":
		return "already done"
	case "done":
		return "done in " + Duration(r.Elapsed)
	case "stopped":
		return "stopped after " + Duration(r.Elapsed)
	}
	return "failed after " + Duration(r.Elapsed) + ": " + trouble(name, r.Err)
}

// trouble is the error's text without the step's name, which the line already has.
func trouble(name string, err error) string {
	return clean(strings.TrimPrefix(err.Error(), name+": "))
}
