package child

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
)

// codes in the order in which one of several decides what the whole is.
var codes = []wire.Code{wire.Expired, wire.NotOurs, wire.Conflict, wire.Consent, wire.Refused, wire.Failed}

// merge makes one error of several that keeps what each of them knows.
func merge(errs *multierror.Error) error {
	if errs == nil {
		return nil
	}
	if len(errs.Errors) == 1 {
		return withContext(errs.Errors[0])
	}
	out := &wire.Error{Code: wire.Failed}
	var texts, tries []string
	for _, err := range errs.Errors {
		e := asChild(err)
		texts = append(texts, e.Text)
		out.Causes = appendNew(out.Causes, e.Causes...)
		out.Stacks = appendNew(out.Stacks, e.Stacks...)
		tries = appendNew(tries, e.Try)
		if slices.Index(codes, e.Code) < slices.Index(codes, out.Code) {
			out.Code = e.Code
		}
	}
	out.Text = fmt.Sprintf("%d failures: %s", len(texts), strings.Join(texts, "; "))
	out.Try = strings.Join(tries, "\n")
	return out
}

// withContext puts the words around a child error into its text, so that they are not lost on the way out.
func withContext(err error) error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return err
	}
	return asChild(err)
}

func asChild(err error) *wire.Error {
	var e *wire.Error
	if !errors.As(err, &e) {
		err = account.Explain(err)
		out := &wire.Error{Text: err.Error(), Try: step.HintOf(err)}
		if account.IsExpired(err) {
			out.Code = wire.Expired
		}
		return out
	}
	out := *e
	if before, found := strings.CutSuffix(err.Error(), e.Error()); found {
		out.Text = before + e.Text
	}
	return &out
}

func appendNew(list []string, items ...string) []string {
	for _, i := range items {
		if i != "" && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}
