package minicluster

import (
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// job runs the cluster's pods: one index per pod, so that each has a host name of its own. podAnnotations are put on the
// pods where the MiniCluster itself does not set them.
func (c *cluster) job(podAnnotations map[string]string) (*batchv1.Job, error) {
	podSpec, err := c.podSpec()
	if err != nil {
		return nil, err
	}
	annotations := maps.Clone(podAnnotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, c.Spec.Pod.Annotations)
	size, retries, mode := c.Spec.Size, c.retries(), batchv1.IndexedCompletion
	job := &batchv1.Job{
		ObjectMeta: c.meta(c.Name, c.Spec.JobLabels),
		Spec: batchv1.JobSpec{
			Completions:    &size,
			Parallelism:    &size,
			CompletionMode: &mode,
			BackoffLimit:   &retries,
			Template:       corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: c.podLabels(), Annotations: annotations}, Spec: podSpec},
		},
	}
	if c.Spec.DeadlineSeconds > 0 {
		deadline := c.Spec.DeadlineSeconds
		job.Spec.ActiveDeadlineSeconds = &deadline
	}
	return job, nil
}

// retries are flux-operator's hundred, unless the pods ask for no restart: such a run that fails is a result, not something to try
// again unseen.
func (c *cluster) retries() int32 {
	switch {
	case c.Spec.BackoffLimit > 0:
		return c.Spec.BackoffLimit
	case c.Spec.Pod.RestartPolicy == string(corev1.RestartPolicyNever):
		return 0
	}
	return 100
}

func (c *cluster) podLabels() map[string]string {
	labels := maps.Clone(c.Spec.Pod.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[labelAppName] = c.Name
	labels["namespace"], labels["app"], labels["hpa-selector"] = c.Namespace, "flux-operator", c.Name
	labels[LabelCluster] = c.Name
	labels[labelNetwork] = c.Spec.Network.HeadlessName
	return labels
}

func (c *cluster) podSpec() (corev1.PodSpec, error) {
	p := c.Spec.Pod
	automount, fqdn := p.AutomountServiceAccountToken != nil && *p.AutomountServiceAccountToken, false
	out := corev1.PodSpec{
		Subdomain:                    c.Spec.Network.HeadlessName,
		RestartPolicy:                corev1.RestartPolicy(p.RestartPolicy),
		NodeSelector:                 p.NodeSelector,
		ServiceAccountName:           p.ServiceAccountName,
		AutomountServiceAccountToken: &automount,
		ShareProcessNamespace:        &c.Spec.ShareProcessNamespace,
		SetHostnameAsFQDN:            &fqdn,
		DNSPolicy:                    corev1.DNSPolicy(p.DNSPolicy),
		HostIPC:                      p.HostIPC,
		HostPID:                      p.HostPID,
		SecurityContext:              p.SecurityContext,
		SchedulerName:                p.SchedulerName,
		RuntimeClassName:             p.RuntimeClassName,
		Affinity:                     c.affinity(),
		ImagePullSecrets:             c.pullSecrets(),
		Volumes:                      c.volumes(),
	}
	for _, t := range p.Tolerations {
		out.Tolerations = append(out.Tolerations, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect),
		})
	}
	if len(p.Resources) > 0 {
		requests, err := quantities("spec.pod.resources", p.Resources)
		if err != nil {
			return corev1.PodSpec{}, err
		}
		out.Resources = &corev1.ResourceRequirements{Requests: requests}
	}
	if !c.Spec.Flux.Container.Disable {
		init, err := c.fluxView()
		if err != nil {
			return corev1.PodSpec{}, err
		}
		out.InitContainers = []corev1.Container{init}
	}
	for i := range c.Spec.Containers {
		ct, err := c.podContainer(i)
		if err != nil {
			return corev1.PodSpec{}, err
		}
		out.Containers = append(out.Containers, ct)
	}
	return out, nil
}

// affinity keeps the pods of a cluster together in a zone and apart from each other on nodes, if it can.
func (c *cluster) affinity() *corev1.Affinity {
	if c.Spec.Network.DisableAffinity {
		return nil
	}
	term := func(topology string) []corev1.WeightedPodAffinityTerm {
		return []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: labelAppName, Operator: metav1.LabelSelectorOpIn, Values: []string{c.Name}},
			}},
			TopologyKey: topology,
		}}}
	}
	out := &corev1.Affinity{
		PodAffinity:     &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: term(corev1.LabelTopologyZone)},
		PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: term(corev1.LabelHostname)},
	}
	if len(c.Spec.Pod.NodeAffinity) > 0 {
		var demands []corev1.NodeSelectorRequirement
		for _, label := range slices.Sorted(maps.Keys(c.Spec.Pod.NodeAffinity)) {
			demands = append(demands, corev1.NodeSelectorRequirement{Key: label, Operator: corev1.NodeSelectorOpIn, Values: c.Spec.Pod.NodeAffinity[label]})
		}
		out.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: demands}},
		}}
	}
	return out
}

func (c *cluster) pullSecrets() []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	seen := map[string]bool{"": true}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, corev1.LocalObjectReference{Name: name})
		}
	}
	add(c.Spec.Flux.Container.ImagePullSecret)
	for _, ct := range c.Spec.Containers {
		add(ct.ImagePullSecret)
	}
	return out
}

func quantities(field string, in map[string]intstr.IntOrString) (corev1.ResourceList, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := corev1.ResourceList{}
	for name, v := range in {
		q, err := resource.ParseQuantity(v.String())
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %q is no quantity", field, name, v.String())
		}
		out[corev1.ResourceName(name)] = q
	}
	return out, nil
}
