package minicluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// The conditions of a MiniCluster; the first three are flux-operator's.
const (
	ConditionReady    = "JobMiniClusterReady" // its objects exist
	ConditionRunning  = "JobRunning"          // pods are running
	ConditionFinished = "JobFinished"         // reason Complete or Failed
	ConditionInvalid  = "Invalid"             // the controller can do nothing with it; the message says why
)

// report writes the status when it differs from what the cluster has.
func (c *controller) report(ctx context.Context, cl *cluster, job *batchv1.Job, ignored []string) error {
	key := cl.Namespace + "/" + cl.Name
	if last, ok := c.written.Load(key); ok && last.(writtenStatus).version == cl.ResourceVersion {
		cl.Status = last.(writtenStatus).status // the cache does not show it yet
	}
	next := statusOf(cl, job, ignored)
	if equality.Semantic.DeepEqual(next, cl.Status) {
		return nil
	}
	if err := c.writeStatus(ctx, cl, next); err != nil {
		return err
	}
	c.written.Store(key, writtenStatus{cl.ResourceVersion, next})
	return nil
}

type writtenStatus struct {
	version string
	status  status
}

func statusOf(cl *cluster, job *batchv1.Job, ignored []string) status {
	next := cl.Status
	next.Conditions = append([]metav1.Condition(nil), cl.Status.Conditions...)
	next.JobID = string(job.UID)
	next.Size = cl.Spec.Size
	next.MaximumSize = max(cl.Status.MaximumSize, cl.Spec.MaxSize)
	next.Selector = batchv1.JobNameLabel + "=" + cl.Name
	set := func(kind string, on bool, reason, message string) {
		state := metav1.ConditionFalse
		if on {
			state = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&next.Conditions, metav1.Condition{
			Type: kind, Status: state, Reason: reason, Message: message, ObservedGeneration: cl.Generation,
		})
	}
	made := ""
	if len(ignored) > 0 {
		made = "this controller does not act on " + strings.Join(ignored, ", ")
	}
	set(ConditionReady, true, "ObjectsMade", made)
	if end := finished(job); end != nil {
		set(ConditionRunning, false, "Finished", "")
		set(ConditionFinished, true, string(end.Type), end.Message)
	} else {
		running := job.Status.Ready != nil && *job.Status.Ready > 0
		reason := "WaitingForPods"
		if running {
			reason = "PodsReady"
		}
		set(ConditionRunning, running, reason, "")
		set(ConditionFinished, false, "NotFinished", "")
	}
	meta.RemoveStatusCondition(&next.Conditions, ConditionInvalid)
	return next
}

// finished returns the condition that ended the job, or nil.
func finished(job *batchv1.Job) *batchv1.JobCondition {
	for i, cond := range job.Status.Conditions {
		if cond.Status == corev1.ConditionTrue && (cond.Type == batchv1.JobComplete || cond.Type == batchv1.JobFailed) {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}

// reject tells the user, by a condition and an event, why nothing happens. It is not tried again until the MiniCluster
// changes.
func (c *controller) reject(ctx context.Context, u *unstructured.Unstructured, cause error) error {
	// The spec may be unreadable: take over no more than the conditions.
	cl := &cluster{ObjectMeta: metav1.ObjectMeta{Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), Generation: u.GetGeneration()}}
	if old, err := decodeStatus(u); err == nil {
		cl.Status = old
	}
	next := cl.Status
	next.Conditions = append([]metav1.Condition(nil), cl.Status.Conditions...)
	changed := meta.SetStatusCondition(&next.Conditions, metav1.Condition{
		Type: ConditionInvalid, Status: metav1.ConditionTrue, Reason: "Rejected", Message: cause.Error(), ObservedGeneration: cl.Generation,
	})
	if !changed {
		return nil
	}
	c.options.Log("minicluster %s/%s: %v", cl.Namespace, cl.Name, cause)
	if err := c.warn(ctx, cl, cause); err != nil {
		return err
	}
	return c.writeStatus(ctx, cl, next)
}

func decodeStatus(u *unstructured.Unstructured) (s status, err error) {
	b, err := json.Marshal(u.Object["status"])
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

func (c *controller) writeStatus(ctx context.Context, cl *cluster, next status) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": cl.UID}, "status": next})
	if err != nil {
		return err
	}
	_, err = c.dynamic.Resource(GVR).Namespace(cl.Namespace).Patch(ctx, cl.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or another one of its name; its own event is in the queue
	}
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

func (c *controller) warn(ctx context.Context, cl *cluster, cause error) error {
	now := metav1.NewTime(time.Now())
	_, err := c.kube.CoreV1().Events(cl.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: cl.Name + ".", Namespace: cl.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: GVK.GroupVersion().String(), Kind: GVK.Kind, Namespace: cl.Namespace, Name: cl.Name, UID: cl.UID,
		},
		Type: corev1.EventTypeWarning, Reason: "Rejected", Message: cause.Error(), Action: "Reconcile",
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: fieldManager}, ReportingController: fieldManager, ReportingInstance: fieldManager,
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("record the event: %w", err)
	}
	return nil
}
