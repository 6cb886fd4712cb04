package compat

// What flux-operator calls its resource in Kubernetes' API.
const (
	FluxGroup    = "flux-framework.org"
	FluxVersion  = "v1alpha2"
	FluxResource = "miniclusters"
)

// PublishedRegistry and PublishedArtifact are how the study's procedure names its artifact. A lab's own registry holds the artifact under the
// same name; its webhook asks that first, so that the procedure's commands work as they are written.
const (
	PublishedRegistry = "ghcr.io"
	PublishedArtifact = "compspec/ocifit-k8s-compatibility:ml-example-with-random"
)
