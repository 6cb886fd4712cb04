// Package compat holds what everybody who touches the selection webhook must agree on: the names of labels
// and annotations, the media types, the shape of a compatibility artifact and the record of a decision.
package compat

// WebhookName names the webhook in its configuration.
const WebhookName = "oci.image.compatibilities.selection"

// Prefix starts every label and annotation of the selection contract.
const Prefix = WebhookName + "/"

// The label and the annotations that a Pod or MiniCluster carries.
const (
	// LabelEnabled must be "true" on objects that want a selection.
	LabelEnabled = Prefix + "enabled"
	// AnnotationImageRef names the compatibility artifact in an OCI registry.
	AnnotationImageRef = Prefix + "image-ref"
	// AnnotationModel names the model (a tag of the artifact), or "random".
	AnnotationModel = Prefix + "model"
	// AnnotationTargetImage is the image that the selection replaces; DefaultTargetImage when absent.
	AnnotationTargetImage = Prefix + "target-image"
	// AnnotationObjective says what the choice makes best, and within which bounds: "per-dollar", "time", "fom,usd-per-hour<=2.5",
	// "minutes<=10". Absent: the model's own figure.
	AnnotationObjective = Prefix + "objective"
	// AnnotationSeed fixes the seed of a random draw: a decimal uint64.
	AnnotationSeed = Prefix + "seed"
	// AnnotationDecision is written by the webhook: one JSON object of type Decision.
	AnnotationDecision = Prefix + "decision"
)

// DefaultTargetImage is replaced when no AnnotationTargetImage is given.
const DefaultTargetImage = "placeholder:latest"

// Random is the name of the arm, and of the direction, that draws instead of scoring.
const Random = "random"

// Well-known node labels that a selection reads and writes.
const (
	LabelInstanceType = "node.kubernetes.io/instance-type"
	LabelArch         = "kubernetes.io/arch"
)

// FeaturePrefix starts the labels that Node Feature Discovery puts on nodes.
const FeaturePrefix = "feature.node.kubernetes.io/"

// Media types of an artifact's layer.
const (
	MediaTypeModels   = "application/vnd.oci.image.model-compatibilities.v1+json"
	MediaTypeFeatures = "application/vnd.oci.image.compatibilities.v1+json"
	// MediaTypeModel is an extra layer of a model artifact: a formula in this project's model format.
	MediaTypeModel = "application/vnd.ocifit-lab.model.v1+json"
)

// MaxArtifactBytes bounds an artifact's layer: 1 MiB.
const MaxArtifactBytes = 1 << 20

// Images of the Flux view that match a node's architecture.
const (
	fluxViewAMD64 = "ghcr.io/converged-computing/flux-view-rocky:tag-9"
	fluxViewARM64 = "ghcr.io/converged-computing/flux-view-rocky:arm-9"
)

// FluxViewImage returns the Flux view image for a Kubernetes architecture name. Anything that is not arm64
// gets the amd64 image, which is what the operator itself defaults to.
func FluxViewImage(arch string) string {
	if arch == "arm64" {
		return fluxViewARM64
	}
	return fluxViewAMD64
}
