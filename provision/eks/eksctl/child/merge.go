package child

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/protocol"
	"github.com/compspec/ocifit-lab/provision/step"
)

// codes in the order in which one of several decides what the whole is.
var codes = []protocol.Code{protocol.Expired, protocol.NotOurs, protocol.Conflict, protocol.Consent, protocol.Refused, protocol.Failed}

// merge makes one error of several that keeps what each of them knows.
func merge(errs *multierror.Error) error {
	if errs == nil {
		return nil
	}
	if len(errs.Errors) == 1 {
		return keep(errs.Errors[0])
	}
	out := &protocol.Error{Code: protocol.Failed}
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

// keep puts the words around a child error into its text, so that they are not lost on the way out.
func keep(err error) error {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return err
	}
	return asChild(err)
}

func asChild(err error) *protocol.Error {
	var e *protocol.Error
	if !errors.As(err, &e) {
		err = account.Explain(err)
		out := &protocol.Error{Text: err.Error(), Try: step.HintOf(err)}
		if account.IsExpired(err) {
			out.Code = protocol.Expired
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
