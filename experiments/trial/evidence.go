package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// describe fills the record from the finished pod and its node.
func (a *attempt) describe() error {
	text := a.pod.Annotations[compat.AnnotationDecision]
	if text == "" {
		return fmt.Errorf("pod %s carries no decision of the webhook", a.pod.Name)
	}
	decision, err := compat.ParseDecision(text)
	if err != nil {
		return err
	}
	p, note, err := podPhases(a.pod, a.node, a.release)
	if err != nil {
		return err
	}
	instanceType := a.node.Labels[corev1.LabelInstanceTypeStable]
	r := &a.record
	r.Decision, r.Replay, r.Simulated = decision, note, note != nil
	r.Artifact = decision.ArtifactDigest
	r.Node = store.Node{Name: a.node.Name, InstanceType: instanceType, Labels: a.node.Labels}
	for _, c := range a.pod.Spec.Containers {
		if c.Name == a.release {
			r.Image = c.Image
		}
	}
	for _, s := range a.pod.Status.ContainerStatuses {
		if s.Name == a.release {
			r.ImageID = s.ImageID
		}
	}
	r.Phases = p
	// The store multiplies it with the time from the pod's creation to its end, so that a node's start is paid by the trial
	// that caused it.
	r.PriceUSDPerHour = a.Prices[instanceType]
	return nil
}

// check refuses a trial that did not run as the webhook decided.
func (a *attempt) check() error {
	d := a.record.Decision
	switch {
	case d.Model != a.trial.Arm.Model:
		return &Failure{"decision", fmt.Errorf("the arm asks for model %s, the webhook decided by %s", a.trial.Arm.Model, d.Model)}
	case a.trial.Arm.InstanceType != "" && d.InstanceType != a.trial.Arm.InstanceType:
		return &Failure{"decision", fmt.Errorf("the arm is for %s, the webhook chose %s: does the chart put its value nodeSelector on the pods?", a.trial.Arm.InstanceType, d.InstanceType)}
	case a.record.Node.InstanceType != d.InstanceType:
		return &Failure{"decision", fmt.Errorf("the webhook chose %s, the pod ran on %s", d.InstanceType, a.record.Node.InstanceType)}
	case slices.Contains(a.Skip, d.InstanceType):
		return &Failure{"decision", fmt.Errorf("%s is on the skip list and was chosen all the same", d.InstanceType)}
	case a.record.Image == compat.DefaultTargetImage:
		return &Failure{"decision", fmt.Errorf("the pod kept the image %s", a.record.Image)}
	}
	if err := undisturbed(a.pod); err != nil {
		return err
	}
	if t := terminated(a.pod, a.release); t != nil && t.ExitCode != 0 {
		return &Failure{"container", fmt.Errorf("exit code %d %s", t.ExitCode, strings.TrimSpace(t.Reason+" "+t.Message))}
	}
	return nil
}

// undisturbed refuses a pod that did not run once and to its end: its log may be another run's, or a part of one.
func undisturbed(p *corev1.Pod) error {
	for _, s := range append(slices.Clone(p.Status.InitContainerStatuses), p.Status.ContainerStatuses...) {
		if s.RestartCount > 0 {
			why := "for no known reason"
			if t := s.LastTerminationState.Terminated; t != nil {
				why = fmt.Sprintf("after exit code %d %s", t.ExitCode, t.Reason)
			}
			return &Failure{"restarted", fmt.Errorf("container %s was started %d times, %s", s.Name, s.RestartCount+1, strings.TrimSpace(why))}
		}
	}
	if p.Status.Phase == corev1.PodFailed && p.Status.Reason != "" {
		return &Failure{"pod", fmt.Errorf("%s: %s", p.Status.Reason, p.Status.Message)}
	}
	return nil
}

// evidence writes the pod and its events beside the log.
func (a *attempt) evidence(ctx context.Context) error {
	if a.pod == nil {
		return nil
	}
	pod := a.pod.DeepCopy()
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.ManagedFields = nil
	if err := a.writeJSON(podFile, pod); err != nil {
		return err
	}
	events, err := a.Cluster.Events(ctx, a.Namespace, "involvedObject.name="+a.pod.Name)
	if err != nil {
		return &Failure{"events", err}
	}
	for i := range events {
		events[i].ManagedFields = nil
	}
	if a.record.Phases.ImagePulled.IsZero() {
		a.record.Phases.ImagePulled = pulledAt(events, a.release)
	}
	return a.writeJSON(eventsFile, events)
}

// collect keeps what can be kept of a trial that failed; its own faults do not matter any more.
func (a *attempt) collect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if pods := a.pods.Pods(); len(pods) > 0 {
		a.pod = pods[0]
	}
	_ = a.evidence(ctx)
}

func (a *attempt) writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return err
	}
	return a.place.WriteFile(name, append(data, '\n'))
}

// podTime writes the pods of the trial as `kubectl get pods` shows them, at the moment when the trial starts.
func (a *attempt) podTime() error {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tREADY\tSTATUS\tRESTARTS\tAGE")
	for _, p := range a.pods.Pods() {
		ready, restarts := 0, int32(0)
		for _, s := range p.Status.ContainerStatuses {
			if s.Ready {
				ready++
			}
			restarts += s.RestartCount
		}
		age := duration.HumanDuration(time.Since(p.CreationTimestamp.Time))
		fmt.Fprintf(w, "%s\t%d/%d\t%s\t%d\t%s\n", p.Name, ready, len(p.Spec.Containers), p.Status.Phase, restarts, age)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.place.WriteFile(podTimeFile, []byte(out.String()))
}
