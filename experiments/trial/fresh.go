package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeReplacer takes nodes away for good.
type NodeReplacer interface {
	// ReplaceNode returns when the node is gone; the cluster makes another when one is needed.
	ReplaceNode(ctx context.Context, name string) error
}

// ErrNoReplacer says that the study asks for fresh nodes where none can be had.
var ErrNoReplacer = errors.New("the study asks for fresh nodes, and this provider cannot replace a node")

// served knows on which nodes the trials of each arm ran. What earlier calls of the program ran is read from the store.
type served struct {
	mu    sync.Mutex
	nodes map[string]map[string]bool // by arm
	busy  map[string]bool            // a trial runs there
}

func (s *served) isBusy(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy[node]
}

func (s *served) busyIs(node string, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == nil {
		s.busy = map[string]bool{}
	}
	s.busy[node] = busy
}

func (s *served) has(arm, node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[arm][node]
}

func (s *served) add(arm, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes == nil {
		s.nodes = map[string]map[string]bool{}
	}
	if s.nodes[arm] == nil {
		s.nodes[arm] = map[string]bool{}
	}
	s.nodes[arm][node] = true
}

// readServed prepares a run with fresh nodes.
func (r *Runner) readServed(ctx context.Context) error {
	if !r.Study.FreshNodes {
		return nil
	}
	if r.Replacer == nil {
		return ErrNoReplacer
	}
	records, err := r.Store.Records(ctx)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Trial.Node.Name != "" {
			r.served.add(rec.Arm, rec.Trial.Node.Name)
		}
	}
	return nil
}

// reserve gives the trial its instance type, and a node that did not serve its arm before. Both need the type that the webhook will choose,
// which a dry run tells: the trial carries its own seed, so the installation gets the same answer.
func (a *attempt) reserve(ctx context.Context) error {
	if a.slot == nil && !a.Study.FreshNodes {
		return nil
	}
	a.now("asking for the decision")
	instanceType, err := a.decide(ctx, a.trial)
	if err != nil {
		return err
	}
	if err := a.slot.move(ctx, instanceType, a.now); err != nil {
		return err
	}
	return within(ctx, time.Duration(a.Study.Deadlines.Scheduled), func(ctx context.Context) error { return a.freshen(ctx, instanceType) })
}

// freshen takes away the nodes of the type on which the arm ran before and on which nothing runs now.
func (a *attempt) freshen(ctx context.Context, instanceType string) error {
	if !a.Study.FreshNodes {
		return nil
	}
	nodes, err := a.Cluster.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: corev1.LabelInstanceTypeStable + "=" + instanceType})
	if err != nil {
		return &Failure{"fresh node", err}
	}
	for _, n := range nodes.Items {
		if !a.served.has(a.trial.Arm.Name, n.Name) || a.served.isBusy(n.Name) {
			continue
		}
		a.now("replacing node %s, on which the arm ran before", n.Name)
		if err := a.Replacer.ReplaceNode(ctx, n.Name); err != nil {
			return &Failure{"fresh node", err}
		}
	}
	return nil
}

// remember notes the node for later trials, and refuses a trial that came to one which served its arm before.
func (a *attempt) remember() error {
	if !a.Study.FreshNodes || a.pod == nil || a.pod.Spec.NodeName == "" {
		return nil
	}
	arm, node := a.trial.Arm.Name, a.pod.Spec.NodeName
	if a.served.has(arm, node) {
		return &Failure{"fresh node", fmt.Errorf("the trial came to node %s, on which the arm ran before", node)}
	}
	a.served.add(arm, node)
	a.served.busyIs(node, true)
	return nil
}

// leave gives the trial's node back. Where trials of one arm run side by side, a fresh node ends with its trial: another arm's trial that took
// it over would keep this arm waiting for its end.
func (a *attempt) leave(ctx context.Context) {
	if !a.Study.FreshNodes || a.pod == nil || a.pod.Spec.NodeName == "" {
		return
	}
	node := a.pod.Spec.NodeName
	defer a.served.busyIs(node, false)
	if a.slot == nil || !a.Exclusive {
		return
	}
	a.now("giving node %s back", node)
	ctx, cancel := outliving(ctx, time.Duration(a.Study.Deadlines.Removed))
	defer cancel()
	if err := a.Replacer.ReplaceNode(ctx, node); err != nil {
		// The arm's next trial has it replaced, or fails and says so.
		a.now("node %s stays: %v", node, err)
	}
}
