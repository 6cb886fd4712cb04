package child

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"
	"github.com/weaveworks/eksctl/pkg/utils/tasks"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/protocol"
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
	out := &protocol.Error{}
	for _, err := range errs {
		var e *protocol.Error
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

// together runs functions side by side, lets each come to its end, and gathers what failed.
type together struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs *multierror.Error
}

func (t *together) start(f func() error) {
	t.wg.Add(1)
	go func() {
		defer t.wg.Done()
		if err := f(); err != nil {
			t.mu.Lock()
			t.errs = multierror.Append(t.errs, err)
			t.mu.Unlock()
		}
	}()
}

func (t *together) wait() error {
	t.wg.Wait()
	return merge(t.errs)
}
