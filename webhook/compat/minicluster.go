package compat

// What flux-operator calls its resource in Kubernetes' API.
const (
	FluxGroup    = "flux-framework.org"
	FluxVersion  = "v1alpha2"
	FluxResource = "miniclusters"
)
