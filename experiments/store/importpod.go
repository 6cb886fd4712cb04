package store

import (
	"time"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// pod has the fields of a Kubernetes pod that tell of a trial.
type pod struct {
	Metadata struct {
		Name              string            `json:"name"`
		UID               string            `json:"uid"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		NodeName     string            `json:"nodeName"`
		NodeSelector map[string]string `json:"nodeSelector"`
		Containers   []struct {
			Name  string `json:"name"`
			Image string `json:"image"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type               string    `json:"type"`
			LastTransitionTime time.Time `json:"lastTransitionTime"`
		} `json:"conditions"`
		ContainerStatuses []struct {
			Name    string `json:"name"`
			ImageID string `json:"imageID"`
			State   struct {
				Running *struct {
					StartedAt time.Time `json:"startedAt"`
				} `json:"running"`
				Terminated *struct {
					StartedAt  time.Time `json:"startedAt"`
					FinishedAt time.Time `json:"finishedAt"`
				} `json:"terminated"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// describe fills a record from the pod. The instance type is what the pod was bound to by its selector, which is what the webhook chose.
func (p *pod) describe(t *Trial, application string) {
	t.Node = Node{Name: p.Spec.NodeName, InstanceType: p.Spec.NodeSelector[compat.LabelInstanceType]}
	t.Phases.Created = p.Metadata.CreationTimestamp.UTC()
	var ready time.Time
	for _, c := range p.Status.Conditions {
		switch c.Type {
		case "PodScheduled":
			t.Phases.Scheduled = c.LastTransitionTime.UTC()
		case "Ready":
			ready = c.LastTransitionTime.UTC()
		}
	}
	main := 0
	for i, c := range p.Spec.Containers {
		if c.Name == application {
			main = i
		}
	}
	if main >= len(p.Spec.Containers) {
		return
	}
	t.Image = p.Spec.Containers[main].Image
	for _, s := range p.Status.ContainerStatuses {
		if s.Name != p.Spec.Containers[main].Name {
			continue
		}
		t.ImageID = s.ImageID
		switch {
		case s.State.Terminated != nil:
			t.Phases.Started, t.Phases.Finished = s.State.Terminated.StartedAt.UTC(), s.State.Terminated.FinishedAt.UTC()
		case s.State.Running != nil:
			// The pod was stored before its end was known. Its readiness changes last when the container ends.
			t.Phases.Started = s.State.Running.StartedAt.UTC()
			if ready.After(t.Phases.Started) {
				t.Phases.Finished = ready
			}
		}
	}
}
