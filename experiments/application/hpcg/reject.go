package hpcg

import "fmt"

// Reason names why a log is not that of a complete trial. The names are stable: they are stored and counted.
type Reason string

// The reasons, in the order in which a log can fail.
const (
	ReasonEmpty        Reason = "empty"        // nothing but blank lines
	ReasonBinary       Reason = "binary"       // has NUL bytes
	ReasonForeign      Reason = "not-hpcg"     // has no marker of a trial
	ReasonTruncated    Reason = "truncated"    // ends before its end marker
	ReasonDisorder     Reason = "interleaved"  // markers come twice or out of order, as when two logs were mixed
	ReasonIterations   Reason = "iterations"   // not the asked number of runs or result files
	ReasonMissing      Reason = "missing-key"  // a result file lacks a line
	ReasonNumber       Reason = "bad-number"   // not a number, not finite, negative or absurd
	ReasonInvalid      Reason = "invalid"      // HPCG itself calls the result invalid or a test of its own failed
	ReasonInconsistent Reason = "inconsistent" // figures that must agree do not, as after an edit by hand
	ReasonUnequal      Reason = "unequal-runs" // the iterations differ in ranks, threads or size
	ReasonVersion      Reason = "hpcg-version" // result files of another version of HPCG
	ReasonJob          Reason = "failed-job"   // flux or the launcher says that a run failed
	ReasonTooLarge     Reason = "too-large"    // more result files or jobs than any trial has
	ReasonUnreadable   Reason = "read-error"   // the log could not be read to its end
)

// Rejection says why a log does not count.
type Rejection struct {
	Reason Reason
	Line   int64 // where it was noticed, from 1; 0 for the whole log
	Detail string
	Err    error // the cause of ReasonUnreadable
}

func (r *Rejection) Error() string {
	if r.Line == 0 {
		return fmt.Sprintf("%s: %s", r.Reason, r.Detail)
	}
	return fmt.Sprintf("%s at line %d: %s", r.Reason, r.Line, r.Detail)
}

// Unwrap returns the error of the reader.
func (r *Rejection) Unwrap() error { return r.Err }
