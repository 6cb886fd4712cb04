package trial

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// podPhases reads the moments of a trial from its finished pod. Kubernetes rounds them to seconds. Those of a replayed run
// are on the simulated clock and come from the note on the pod, which is returned too.
func podPhases(pod *corev1.Pod, node *corev1.Node, container string) (store.Phases, json.RawMessage, error) {
	p := store.Phases{Created: pod.CreationTimestamp.UTC()}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			p.Scheduled = c.LastTransitionTime.UTC()
		}
	}
	if node != nil {
		for _, c := range node.Status.Conditions {
			// A node that was ready before the pod existed was not started for it.
			if c.Type == corev1.NodeReady && c.LastTransitionTime.After(p.Created) {
				p.NodeReady = c.LastTransitionTime.UTC()
			}
		}
	}
	if t := terminated(pod, container); t != nil {
		p.Started, p.Finished = t.StartedAt.UTC(), t.FinishedAt.UTC()
	}
	note, replayed, err := replay.Of(pod.Annotations)
	if err != nil || !replayed {
		return p, nil, err
	}
	p = store.Phases{Created: note.Clock.Created, NodeReady: note.Clock.NodeReady, Started: note.Clock.Started, Finished: note.Clock.Finished}
	// The simulated scheduler takes no time once there is a node.
	p.Scheduled = p.NodeReady
	if !p.NodeReady.After(p.Created) { // the node was there before the pod
		p.Scheduled, p.NodeReady = p.Created, time.Time{}
	}
	if note.ImagePullSeconds > 0 {
		p.ImagePulled = p.Scheduled.Add(time.Duration(note.ImagePullSeconds * float64(time.Second)))
	}
	return p, json.RawMessage(pod.Annotations[replay.Annotation]), nil
}

// pulledAt returns when the container's image had come to the node, by the kubelet's event; zero when it says nothing.
func pulledAt(events []corev1.Event, container string) time.Time {
	for _, e := range events {
		if e.Reason == "Pulled" && e.InvolvedObject.FieldPath == "spec.containers{"+container+"}" {
			return kube.EventTime(e).UTC()
		}
	}
	return time.Time{}
}

// terminated returns how the container ended, or nil while it has not.
func terminated(pod *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container {
			return s.State.Terminated
		}
	}
	return nil
}
