package nodes

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/compspec/ocifit-lab/provision/simulated"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The functions of this file are called by the stages' templates. Each returns the patch of a pod's status as JSON. The patch names
// the resource version that it was made from: when the pod has changed meanwhile it is refused, and the change itself leads to a new one.

// creating says what a kubelet says while images are pulled.
func creating(pod map[string]any, hostIPs []string) (string, error) {
	return patchStatus(pod, func(p *corev1.Pod, now metav1.Time) {
		p.Status.StartTime = &now
		setAddresses(&p.Status, hostIPs, nil)
		initialized := corev1.ConditionTrue
		waiting := "ContainerCreating"
		if len(p.Spec.InitContainers) > 0 {
			initialized, waiting = corev1.ConditionFalse, "PodInitializing"
		}
		setConditions(&p.Status, now, "", corev1.ConditionFalse, initialized)
		state := func(reason string) corev1.ContainerState {
			return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
		}
		p.Status.InitContainerStatuses = containers(p.Spec.InitContainers, func(corev1.Container) corev1.ContainerState { return state("PodInitializing") })
		p.Status.ContainerStatuses = containers(p.Spec.Containers, func(corev1.Container) corev1.ContainerState { return state(waiting) })
	})
}

// running completes the init containers and starts the others.
func running(pod map[string]any, hostIPs, podIPs []string) (string, error) {
	return patchStatus(pod, func(p *corev1.Pod, now metav1.Time) { run(p, now, hostIPs, podIPs) })
}

func run(p *corev1.Pod, now metav1.Time, hostIPs, podIPs []string) {
	p.Status.Phase = corev1.PodRunning
	if p.Status.StartTime == nil {
		p.Status.StartTime = &now
	}
	setAddresses(&p.Status, hostIPs, podIPs)
	setConditions(&p.Status, now, "", corev1.ConditionTrue, corev1.ConditionTrue)
	for _, gate := range p.Spec.ReadinessGates {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: gate.ConditionType, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	p.Status.InitContainerStatuses = containers(p.Spec.InitContainers, func(c corev1.Container) corev1.ContainerState {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			return runs
		}
		return ended(now, now, 0)
	})
	// The kubelet counts a completed init container as ready.
	for i := range p.Status.InitContainerStatuses {
		p.Status.InitContainerStatuses[i].Ready = true
	}
	p.Status.ContainerStatuses = containers(p.Spec.Containers, func(corev1.Container) corev1.ContainerState { return runs })
}

// terminated ends every container. A pod that never ran has then run for no time.
func terminated(pod map[string]any, phase string, hostIPs, podIPs []string) (string, error) {
	return patchStatus(pod, func(p *corev1.Pod, now metav1.Time) {
		if p.Status.Phase != corev1.PodRunning {
			run(p, now, hostIPs, podIPs)
		}
		p.Status.Phase = corev1.PodPhase(phase)
		code, reason := int32(0), "PodCompleted"
		if p.Status.Phase == corev1.PodFailed {
			code, reason = exitCode(p), "PodFailed"
		}
		setConditions(&p.Status, now, reason, corev1.ConditionFalse, corev1.ConditionTrue)
		started := map[string]metav1.Time{}
		for _, status := range p.Status.ContainerStatuses {
			if status.State.Running != nil {
				started[status.Name] = status.State.Running.StartedAt
			}
		}
		p.Status.ContainerStatuses = containers(p.Spec.Containers, func(c corev1.Container) corev1.ContainerState {
			begin, ok := started[c.Name]
			if !ok {
				begin = now
			}
			return ended(begin, now, code)
		})
	})
}

func exitCode(p *corev1.Pod) int32 {
	if code, err := strconv.ParseInt(p.Annotations[simulated.ExitCodeAnnotation], 10, 32); err == nil && code != 0 {
		return int32(code)
	}
	return 1
}

func patchStatus(pod map[string]any, change func(p *corev1.Pod, now metav1.Time)) (string, error) {
	data, err := json.Marshal(pod)
	if err != nil {
		return "", fmt.Errorf("encode pod: %w", err)
	}
	var p corev1.Pod
	if err := json.Unmarshal(data, &p); err != nil {
		return "", fmt.Errorf("decode pod: %w", err)
	}
	change(&p, metav1.NewTime(time.Now()))
	// Only what these stages own goes into the patch; the scheduler's condition stays as it is because conditions merge by type.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": p.ResourceVersion},
		"status":   p.Status,
	})
	if err != nil {
		return "", fmt.Errorf("encode status: %w", err)
	}
	return string(patch), nil
}

func setAddresses(s *corev1.PodStatus, hostIPs, podIPs []string) {
	s.HostIPs, s.PodIPs = nil, nil
	for _, ip := range hostIPs {
		s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: ip})
	}
	for _, ip := range podIPs {
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(hostIPs) > 0 {
		s.HostIP = hostIPs[0]
	}
	if len(podIPs) > 0 {
		s.PodIP = podIPs[0]
	}
}

// setConditions puts what a kubelet says about a pod in place of the old conditions; the time of one that does not change is kept.
func setConditions(s *corev1.PodStatus, now metav1.Time, reason string, ready, initialized corev1.ConditionStatus) {
	if reason == "" && ready != corev1.ConditionTrue {
		reason = "ContainersNotReady"
	}
	since := func(kind corev1.PodConditionType, status corev1.ConditionStatus) metav1.Time {
		for _, c := range s.Conditions {
			if c.Type == kind && c.Status == status {
				return c.LastTransitionTime
			}
		}
		return now
	}
	s.Conditions = []corev1.PodCondition{
		{Type: corev1.PodInitialized, Status: initialized, LastTransitionTime: since(corev1.PodInitialized, initialized)},
		{Type: corev1.PodReady, Status: ready, Reason: reason, LastTransitionTime: since(corev1.PodReady, ready)},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason, LastTransitionTime: since(corev1.ContainersReady, ready)},
	}
}

// containers makes the statuses of a pod's containers.
func containers(specs []corev1.Container, state func(corev1.Container) corev1.ContainerState) []corev1.ContainerStatus {
	var statuses []corev1.ContainerStatus
	for _, c := range specs {
		s := state(c)
		started := s.Running != nil
		statuses = append(statuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: s, Started: &started, Ready: started})
	}
	return statuses
}

func ended(begin, end metav1.Time, code int32) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: begin, FinishedAt: end}}
}
