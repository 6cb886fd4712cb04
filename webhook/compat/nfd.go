package compat

import (
	"fmt"
	"slices"
	"strings"
)

// nfdLabels tells which node label carries an element of an NFD feature: a star stands for the element's name.
// Only what Node Feature Discovery writes by default is here; the webhook sees labels, not the features themselves.
var nfdLabels = map[string]string{
	"cpu.cpuid":        "cpu-cpuid.*",
	"cpu.cstate":       "cpu-cstate.*",
	"cpu.coprocessor":  "cpu-coprocessor.*",
	"cpu.model":        "cpu-model.*",
	"cpu.pstate":       "cpu-pstate.*",
	"cpu.rdt":          "cpu-rdt.*",
	"cpu.security":     "cpu-security.*",
	"cpu.topology":     "cpu-*",
	"kernel.config":    "kernel-config.*",
	"kernel.selinux":   "kernel-selinux.*",
	"kernel.version":   "kernel-version.*",
	"memory.nv":        "memory-nv.*",
	"system.osrelease": "system-os_release.*",
	"local.feature":    "*",
	"local.label":      "*",
}

// nfdLabel is the node label that carries an element of a feature.
func nfdLabel(feature, element string) (string, error) {
	if feature == "memory.numa" && element == "is_numa" {
		return FeaturePrefix + "memory-numa", nil
	}
	pattern, ok := nfdLabels[feature]
	if !ok {
		known := make([]string, 0, len(nfdLabels)+3)
		for k := range nfdLabels {
			known = append(known, k)
		}
		known = append(known, "memory.numa", "pci.device", "usb.device")
		slices.Sort(known)
		return "", fmt.Errorf("feature %s is in no node label; labels tell of %s", feature, strings.Join(known, ", "))
	}
	if strings.HasPrefix(feature, "local.") && strings.Contains(element, "/") {
		return element, nil
	}
	return FeaturePrefix + strings.Replace(pattern, "*", element, 1), nil
}

// devices lists, for the device features, the fields that the default label's name is made of.
var devices = map[string][]string{
	"pci.device": {"class", "vendor"},
	"usb.device": {"class", "vendor", "device"},
}

// deviceLabels turns the expressions over a device's fields into one over labels such as pci-0300_10de.present:
// at least one of the combinations must be there. ok is false for features that are no devices.
func deviceLabels(feature string, named map[string]fileExpression) (list []Expression, ok bool, err error) {
	fields, ok := devices[feature]
	if !ok {
		return nil, false, nil
	}
	keys := []string{""}
	for _, f := range fields {
		e, there := named[f]
		if !there || e.Op != OpIn || len(e.Value) == 0 {
			return nil, true, fmt.Errorf("feature %s: node labels tell %s together; give each with In", feature, strings.Join(fields, " and "))
		}
		var longer []string
		for _, k := range keys {
			for _, v := range e.Value {
				longer = append(longer, strings.TrimPrefix(k+"_"+v, "_"))
			}
		}
		if keys = longer; len(keys) > maxValues {
			return nil, true, fmt.Errorf("feature %s: more than %d combinations of values", feature, maxValues)
		}
	}
	if len(named) != len(fields) {
		return nil, true, fmt.Errorf("feature %s: node labels tell nothing but %s", feature, strings.Join(fields, ", "))
	}
	kind, _, _ := strings.Cut(feature, ".")
	for i, k := range keys {
		keys[i] = FeaturePrefix + kind + "-" + k + ".present"
	}
	return []Expression{{Key: keys[0], Op: OpExists, or: keys[1:]}}, true, nil
}
