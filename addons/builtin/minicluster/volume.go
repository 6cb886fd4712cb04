package minicluster

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const kindEmptyDir = "emptyDir"

// kind is the source of a volume that names several, in flux-operator's order; "" when it names none.
func (v volume) kind() string {
	switch {
	case v.CSIDriver != "":
		return "csiDriver"
	case v.SecretName != "":
		return "secretName"
	case v.EmptyDir:
		return kindEmptyDir
	case v.HostPath != "":
		return "hostPath"
	case v.ConfigMapName != "":
		return "configMapName"
	case v.ClaimName != "":
		return "claimName"
	}
	return ""
}

func (v volume) source() corev1.VolumeSource {
	var items []corev1.KeyToPath
	for _, key := range slices.Sorted(maps.Keys(v.Items)) {
		items = append(items, corev1.KeyToPath{Key: key, Path: v.Items[key]})
	}
	switch v.kind() {
	case "csiDriver":
		return corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: v.CSIDriver, VolumeAttributes: v.CSIDriverAttributes}}
	case "secretName":
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.SecretName, Items: items}}
	case "hostPath":
		folder := corev1.HostPathDirectory
		return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: v.HostPath, Type: &folder}}
	case "configMapName":
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMapName}, Items: items,
		}}
	case "claimName":
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.ClaimName}}
	}
	dir := &corev1.EmptyDirVolumeSource{}
	if v.EmptyDirMedium == "memory" {
		dir.Medium = corev1.StorageMediumMemory
	}
	if v.EmptyDirSizeLimit != "" {
		limit := resource.MustParse(v.EmptyDirSizeLimit) // complete has read it
		dir.SizeLimit = &limit
	}
	return corev1.VolumeSource{EmptyDir: dir}
}

// volumes are those that every cluster has, and then its containers' own.
func (c *cluster) volumes() []corev1.Volume {
	empty := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	out := []corev1.Volume{empty(volumeSoftware), empty(volumeHome), empty(c.Spec.Flux.Container.Name), {
		Name: c.configMapName(), VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: c.configMapName()}, Items: c.scriptItems(),
		}},
	}}
	named := map[string]volume{}
	for _, ct := range c.Spec.Containers {
		maps.Copy(named, ct.Volumes)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		out = append(out, corev1.Volume{Name: name, VolumeSource: named[name].source()})
	}
	return out
}

// scriptItems are the files of the scripts' folder by their keys in the ConfigMap.
func (c *cluster) scriptItems() []corev1.KeyToPath {
	executable := int32(0o777)
	var items []corev1.KeyToPath
	for i, ct := range c.Spec.Containers {
		if ct.NoWrapEntrypoint && !ct.RunFlux {
			continue
		}
		items = append(items, corev1.KeyToPath{Key: scriptKey(i, ct), Path: startScript(i, ct), Mode: &executable})
	}
	if !c.Spec.Flux.Container.Disable {
		items = append(items, corev1.KeyToPath{Key: c.Spec.Flux.Container.Name, Path: "flux-init.sh", Mode: &executable})
	}
	return append(items, corev1.KeyToPath{Key: keyCurve, Path: "curve.cert"}, corev1.KeyToPath{Key: keyBroker, Path: keyBroker})
}
