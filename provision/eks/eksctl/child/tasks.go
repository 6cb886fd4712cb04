package child

import (
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/weaveworks/eksctl/pkg/utils/tasks"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// run does eksctl's tasks and gathers their errors, with what CloudFormation says about the stacks that they make.
func (s *session) run(tree *tasks.TaskTree, stackNames ...string) error {
	if tree.Len() == 0 {
		return s.ctx.Err()
	}
	errs := tree.DoAllSync()
	if len(errs) == 0 {
		return s.ctx.Err()
	}
	return s.failure(errs, stackNames)
}

func (s *session) failure(errs []error, stackNames []string) error {
	out := &wire.Error{}
	for _, err := range errs {
		var e *wire.Error
		if errors.As(err, &e) {
			return e
		}
		if account.IsExpired(err) || s.ctx.Err() != nil {
			return err
		}
	}
	var all *multierror.Error
	all = multierror.Append(all, errs...)
	all.ErrorFormat = oneLine
	for _, name := range stackNames {
		if causes := s.causes(name); len(causes) > 0 {
			out.Causes = append(out.Causes, causes...)
			out.Stacks = append(out.Stacks, name)
		}
	}
	if len(out.Causes) == 0 {
		return all
	}
	out.Text = "stack " + strings.Join(out.Stacks, ", ") + " failed"
	out.Try = "remove the cause and repeat up; what is there is kept"
	return out
}

func oneLine(errs []error) string {
	var texts []string
	for _, e := range errs {
		if t := strings.TrimSpace(e.Error()); !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "; ")
}

// causes asks why a stack failed; that it cannot be told is no error of its own.
func (s *session) causes(stack string) []string {
	events, err := s.cloud.Events(s.ctx, stack)
	if err != nil {
		return nil
	}
	return account.Causes(events)
}
