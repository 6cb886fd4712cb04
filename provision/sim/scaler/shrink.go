package scaler

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/hashicorp/go-multierror"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/retry"
)

// shrink removes the nodes that are to be replaced and those that have been unneeded for long enough, and returns when, in simulated
// time, the next one may be due.
func (s *scaler) shrink(ctx context.Context) (next time.Time, err error) {
	nodes, err := s.nodes.List(labels.SelectorFromSet(labels.Set{simulated.NodeLabel: "true"}))
	if err != nil {
		return time.Time{}, err
	}
	pods, err := s.pods.List(labels.Everything())
	if err != nil {
		return time.Time{}, err
	}
	used, read := map[string]bool{}, map[string]bool{}
	for _, p := range pods {
		switch {
		case p.Spec.NodeName == "":
		case occupies(p):
			used[p.Spec.NodeName] = true
		case finished(p):
			read[p.Spec.NodeName] = true
		}
	}
	var errs *multierror.Error
	remove := func(n *corev1.Node, why string) bool {
		gone, err := s.remove(ctx, n, why)
		if err != nil && ctx.Err() == nil {
			errs = multierror.Append(errs, err)
		}
		return gone
	}
	before := len(nodes)
	nodes = slices.DeleteFunc(nodes, func(n *corev1.Node) bool {
		return replaceable(n) && !used[n.Name] && remove(n, "another machine was asked for")
	})
	if len(nodes) < before {
		s.keepMinimum(ctx, nodes)
	}
	if s.UnneededTime > 0 {
		var due []*corev1.Node
		due, next = s.unneeded(nodes, used, s.Clock.Now())
		due = slices.DeleteFunc(due, func(n *corev1.Node) bool { return read[n.Name] && s.tooSoon(n.Name) })
		for _, n := range due {
			remove(n, fmt.Sprintf("unneeded for %s", s.UnneededTime))
		}
		nodes = slices.DeleteFunc(nodes, func(n *corev1.Node) bool { return slices.Contains(due, n) })
	}
	// A removal that failed, or a scaler that was killed in one, leaves a node that no pod can come to.
	for _, n := range nodes {
		if toBeDeleted(n) && !replaceable(n) {
			if err := s.setTaint(ctx, n.Name, false); err != nil && ctx.Err() == nil {
				errs = multierror.Append(errs, err)
			}
		}
	}
	return next, errs.ErrorOrNil()
}

func replaceable(n *corev1.Node) bool {
	return n.Annotations[simulated.ReplaceAnnotation] == "true" && n.Annotations[KeepAnnotation] != "true"
}

// keepMinimum starts nodes for the groups that have fewer than they must, as a scaling group does after a termination.
func (s *scaler) keepMinimum(ctx context.Context, nodes []*corev1.Node) {
	size, there := map[string]int{}, map[string]bool{}
	for _, n := range nodes {
		size[n.Labels[GroupLabel]]++
		there[n.Name] = true
	}
	s.mu.Lock()
	for name, n := range s.booting {
		if !there[name] {
			size[n.Labels[GroupLabel]]++
		}
	}
	s.mu.Unlock()
	for _, g := range s.Groups {
		for range g.Min - size[g.Name] {
			s.start(ctx, g.node(newName(g)), s.Clock.Now())
		}
	}
}

// reading is the real time that whoever reads the log of a pod that has ended has for it: where time is compressed, the simulated time until
// its node goes may be none.
const reading = 10 * time.Second

// tooSoon tells whether a node has not been idle for the real time that its pods' readers have, and sees to it that the loop looks again.
func (s *scaler) tooSoon(node string) bool {
	left := reading - time.Since(s.idle[node].real)
	if left > 0 {
		time.AfterFunc(left, s.poke)
	}
	return left > 0
}

// unneeded keeps the book of idle nodes: those that are due, and when the next will be.
func (s *scaler) unneeded(nodes []*corev1.Node, used map[string]bool, now time.Time) (due []*corev1.Node, next time.Time) {
	minimum, size, alive := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, g := range s.Groups {
		minimum[g.Name] = g.Min
	}
	for _, n := range nodes {
		alive[n.Name] = true
		size[n.Labels[GroupLabel]]++
	}
	for name := range s.idle {
		if !alive[name] || used[name] {
			delete(s.idle, name)
		}
	}
	for _, n := range nodes {
		group := n.Labels[GroupLabel]
		// The nodes of a group that is no longer there count as unneeded beyond none.
		least, ours := minimum[group], n.Labels[simulated.NodeLabel] == "true"
		if used[n.Name] || !ours || n.Annotations[KeepAnnotation] == "true" {
			continue
		}
		since, ok := s.idle[n.Name]
		if !ok {
			since = idleness{now, time.Now()}
			s.idle[n.Name] = since
		}
		end := since.simulated.Add(s.UnneededTime)
		switch {
		case end.After(now):
			if next.IsZero() || end.Before(next) {
				next = end
			}
		case size[group] > least:
			size[group]--
			due = append(due, n)
		}
	}
	return due, next
}

// remove keeps new pods off the node, looks a last time, and takes the node away unless a pod came.
func (s *scaler) remove(ctx context.Context, node *corev1.Node, why string) (gone bool, err error) {
	if err := s.setTaint(ctx, node.Name, true); err != nil {
		return false, err
	}
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node.Name})
	if err != nil {
		return false, fmt.Errorf("pods of node %s: %w", node.Name, err)
	}
	for i := range pods.Items {
		if occupies(&pods.Items[i]) {
			delete(s.idle, node.Name)
			return false, s.setTaint(ctx, node.Name, false)
		}
	}
	if err := s.client.CoreV1().Nodes().Delete(ctx, node.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("remove node %s: %w", node.Name, err)
	}
	delete(s.idle, node.Name)
	s.recorder.Eventf(node, corev1.EventTypeNormal, "ScaleDown", "node removed: %s", why)
	s.Log("node %s removed: %s", node.Name, why)
	return true, nil
}

// setTaint puts the mark of a node to be removed on or off, without touching other taints. A node that is gone is fine.
func (s *scaler) setTaint(ctx context.Context, name string, on bool) error {
	nodes := s.client.CoreV1().Nodes()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if toBeDeleted(node) == on {
			return nil
		}
		if on {
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{
				Key:   taintToBeDeleted,
				Value: strconv.FormatInt(s.Clock.Now().Unix(), 10), Effect: corev1.TaintEffectNoSchedule,
			})
		} else {
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, isToBeDeleted)
		}
		_, err = nodes.Update(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taint node %s: %w", name, err)
	}
	return nil
}

func isToBeDeleted(t corev1.Taint) bool { return t.Key == taintToBeDeleted }

// toBeDeleted tells whether new pods are kept off the node because it is about to go.
func toBeDeleted(n *corev1.Node) bool { return slices.ContainsFunc(n.Spec.Taints, isToBeDeleted) }
