package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/step"
)

// CheckState is how a check ended.
type CheckState string

// The ends of a check.
const (
	CheckOK      CheckState = "ok"
	CheckWarning CheckState = "warning" // the lab works, but perhaps not as wished
	CheckFailed  CheckState = "failed"  // up would fail
	CheckUnknown CheckState = "unknown" // nobody would tell
)

// Check is one thing that was looked at before anything is made.
type Check struct {
	Name  string     `json:"name"`
	State CheckState `json:"state"`
	Text  string     `json:"text"`
	Try   string     `json:"try,omitempty"`
}

// NamedCheck is a question of whoever puts a lab together that the preflight asks.
type NamedCheck struct {
	Name string
	// Look says in a sentence what is well, or what is not.
	Look func(ctx context.Context) (string, error)
	// Elsewhere says that what fails here may go well where it is needed: it is then not known.
	Elsewhere bool
}

// CheckTaker is a provider whose preflight asks what it is told to.
type CheckTaker interface {
	AddCheck(NamedCheck)
}

// Report is what the preflight found.
type Report struct {
	Account string  `json:"account,omitempty"`
	Caller  string  `json:"caller,omitempty"`
	Region  string  `json:"region"`
	Checks  []Check `json:"checks"`
	// Unavailable are instance types of which the account's quota allows no node: put on webhook.skip they are never chosen, and their empty
	// groups need no quota.
	Unavailable []string `json:"unavailable,omitempty"`
}

// Err gathers the checks that failed; nil if none did.
func (r *Report) Err() error {
	var errs *multierror.Error
	for _, c := range r.Checks {
		if c.State == CheckFailed {
			err := fmt.Errorf("%s: %s", c.Name, c.Text)
			if strings.HasPrefix(c.Text, ErrNotOurs.Error()) {
				err = fmt.Errorf("%s: %w%s", c.Name, ErrNotOurs, strings.TrimPrefix(c.Text, ErrNotOurs.Error()))
			}
			if c.Try != "" {
				err = step.Try(err, "%s", c.Try)
			}
			errs = multierror.Append(errs, err)
		}
	}
	return step.Listed(errs)
}

// Add appends a check.
func (r *Report) Add(name string, state CheckState, try, format string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, State: state, Text: fmt.Sprintf(format, args...), Try: try})
}

// Fail adds a check that failed with an error, keeping its hint.
func (r *Report) Fail(name string, err error) {
	r.Add(name, CheckFailed, step.HintOf(err), "%v", err)
}
