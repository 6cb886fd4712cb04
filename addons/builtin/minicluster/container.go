package minicluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Volumes that every cluster has, named as flux-operator names them; that of Flux has its container's name.
const (
	volumeSoftware = "spack-software"
	volumeHome     = "flux-operator-home"
	softwarePath   = "/opt/software"
	homePath       = "/home/flux-operator"
	// sharedMemoryPath is where an emptyDir of a container goes: the engine's own is too small for MPI.
	sharedMemoryPath = "/dev/shm"
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
		Command:         []string{"/bin/bash", scriptPath("flux-init.sh")},
		Resources:       res,
		SecurityContext: securityOf(securityContext{SecurityContext: f.SecurityContext}),
		VolumeMounts:    c.ownMounts(),
		Stdin:           true,
		TTY:             true,
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
		ImagePullPolicy: cmp.Or(corev1.PullPolicy(ct.ImagePullPolicy), pullPolicy(ct.PullAlways)),
		WorkingDir:      ct.WorkingDir,
		Env:             environment(ct),
		Resources:       res,
		SecurityContext: securityOf(ct.SecurityContext),
		VolumeMounts:    append(c.ownMounts(), corev1.VolumeMount{Name: volumeSoftware, MountPath: softwarePath}),
		Stdin:           true,
		TTY:             true,
		Lifecycle:       ct.LifeCycle.hooks(),
	}
	switch {
	case ct.RunFlux || !ct.NoWrapEntrypoint:
		out.Command = []string{"/bin/bash", scriptPath(startScript(index, ct))}
	case ct.Command != "":
		out.Command = strings.Fields(ct.Command)
	}
	for _, port := range ct.Ports {
		out.Ports = append(out.Ports, corev1.ContainerPort{ContainerPort: port, Protocol: corev1.ProtocolTCP})
	}
	for _, name := range slices.Sorted(maps.Keys(ct.Volumes)) {
		v := ct.Volumes[name]
		mount := corev1.VolumeMount{Name: name, MountPath: v.Path, ReadOnly: v.ReadOnly}
		if v.kind() == kindEmptyDir {
			mount.MountPath, mount.ReadOnly = sharedMemoryPath, false
		}
		out.VolumeMounts = append(out.VolumeMounts, mount)
	}
	return out, nil
}

func (c *cluster) ownMounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: volumeHome, MountPath: homePath},
		{Name: c.Spec.Flux.Container.Name, MountPath: c.Spec.Flux.Container.MountPath},
		{Name: c.configMapName(), MountPath: scriptFolder, ReadOnly: true},
	}
}

func (l lifeCycle) hooks() *corev1.Lifecycle {
	hook := func(command string) *corev1.LifecycleHandler {
		if command == "" {
			return nil
		}
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/bash", "-c", command}}}
	}
	if l == (lifeCycle{}) {
		return nil
	}
	return &corev1.Lifecycle{PostStart: hook(l.PostStartExec), PreStop: hook(l.PreStopExec)}
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
	out := s.SecurityContext.DeepCopy()
	for _, name := range s.AddCapabilities {
		if out.Capabilities == nil {
			out.Capabilities = &corev1.Capabilities{}
		}
		out.Capabilities.Add = append(out.Capabilities.Add, corev1.Capability(name))
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
