package minicluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	volumeScripts = "entrypoint"
	volumeFlux    = "flux"
)

// fluxView is the init container that brings Flux to an application whose image has none.
func (c *cluster) fluxView() (corev1.Container, error) {
	f := c.Spec.Flux.Container
	res, err := requirements("spec.flux.container.resources", f.Resources)
	return corev1.Container{
		Name:            f.Name,
		Image:           f.Image,
		ImagePullPolicy: pullPolicy(f.PullAlways),
		WorkingDir:      f.WorkingDir,
		Command:         []string{"/bin/sh", scriptPath("flux-init.sh")},
		Resources:       res,
		VolumeMounts:    c.ownMounts(),
	}, err
}

func (c *cluster) podContainer(index int) (corev1.Container, error) {
	ct := c.Spec.Containers[index]
	res, err := requirements(fmt.Sprintf("spec.containers[%d].resources", index), ct.Resources)
	if err != nil {
		return corev1.Container{}, err
	}
	out := corev1.Container{
		Name:            ct.Name,
		Image:           ct.Image,
		ImagePullPolicy: pullPolicy(ct.PullAlways),
		WorkingDir:      ct.WorkingDir,
		Env:             environment(ct),
		Resources:       res,
		SecurityContext: securityOf(ct.SecurityContext),
		VolumeMounts:    c.ownMounts(),
	}
	switch {
	case !ct.NoWrapEntrypoint:
		out.Command = []string{"/bin/bash", scriptPath(startScript(index))}
	case ct.Command != "":
		out.Command = strings.Fields(ct.Command)
	}
	for _, port := range ct.Ports {
		out.Ports = append(out.Ports, corev1.ContainerPort{ContainerPort: port, Protocol: corev1.ProtocolTCP})
	}
	for _, name := range slices.Sorted(maps.Keys(ct.Volumes)) {
		v := ct.Volumes[name]
		out.VolumeMounts = append(out.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: v.Path, ReadOnly: v.ReadOnly})
	}
	return out, nil
}

func (c *cluster) ownMounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: volumeScripts, MountPath: scriptFolder, ReadOnly: true},
		{Name: volumeFlux, MountPath: c.Spec.Flux.Container.MountPath},
	}
}

func (c *cluster) volumes() []corev1.Volume {
	executable := int32(0o755)
	out := []corev1.Volume{
		{Name: volumeScripts, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: c.configMapName()}, DefaultMode: &executable,
		}}},
		{Name: volumeFlux, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	named := map[string]volume{}
	for _, ct := range c.Spec.Containers {
		maps.Copy(named, ct.Volumes)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		out = append(out, corev1.Volume{Name: name, VolumeSource: named[name].source()})
	}
	return out
}

func (v volume) source() corev1.VolumeSource {
	var items []corev1.KeyToPath
	for _, key := range slices.Sorted(maps.Keys(v.Items)) {
		items = append(items, corev1.KeyToPath{Key: key, Path: v.Items[key]})
	}
	switch {
	case v.ConfigMapName != "":
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMapName}, Items: items,
		}}
	case v.SecretName != "":
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.SecretName, Items: items}}
	case v.ClaimName != "":
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.ClaimName, ReadOnly: v.ReadOnly}}
	case v.HostPath != "":
		return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: v.HostPath}}
	default:
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	}
}

func environment(ct container) []corev1.EnvVar {
	var out []corev1.EnvVar
	for name, value := range ct.Environment {
		out = append(out, corev1.EnvVar{Name: name, Value: value})
	}
	for name, s := range ct.Secrets {
		out = append(out, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: s.Name}, Key: s.Key,
		}}})
	}
	slices.SortFunc(out, func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func securityOf(s securityContext) *corev1.SecurityContext {
	if !s.Privileged && len(s.AddCapabilities) == 0 {
		return nil
	}
	out := &corev1.SecurityContext{Privileged: &s.Privileged}
	if len(s.AddCapabilities) > 0 {
		out.Capabilities = &corev1.Capabilities{}
		for _, name := range s.AddCapabilities {
			out.Capabilities.Add = append(out.Capabilities.Add, corev1.Capability(name))
		}
	}
	return out
}

func requirements(field string, r resources) (out corev1.ResourceRequirements, err error) {
	if out.Limits, err = quantities(field+".limits", r.Limits); err != nil {
		return out, err
	}
	out.Requests, err = quantities(field+".requests", r.Requests)
	return out, err
}

func pullPolicy(always bool) corev1.PullPolicy {
	if always {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
