// Package simulated names the labels and annotations by which the parts of a simulated cluster speak to each other.
package simulated

const (
	// WorkloadAnnotation marks a pod whose phases are played by somebody else; its value is theirs.
	WorkloadAnnotation = "sim.ocifit-lab/workload"
	// PhaseAnnotation is how far the playback is: PhaseRunning, PhaseSucceeded or PhaseFailed. Absent means: not started.
	PhaseAnnotation = "sim.ocifit-lab/phase"
	// ExitCodeAnnotation is the exit code of the containers of a failed pod, 1 when absent.
	ExitCodeAnnotation = "sim.ocifit-lab/exit-code"

	// ApplicationAnnotation names the application that a pod runs, ApplicationFileAnnotation has the file that describes it, where the pod
	// itself does not tell.
	ApplicationAnnotation     = "sim.ocifit-lab/application"
	ApplicationFileAnnotation = "sim.ocifit-lab/application-file"

	// NodeLabel marks a simulated node.
	NodeLabel = "sim.ocifit-lab/simulated"
	// CreatedAnnotation is the simulated time at which the node joined (RFC 3339).
	CreatedAnnotation = "sim.ocifit-lab/created-at"
	// RequestedAnnotation is the simulated time at which the node's group was told to grow (RFC 3339).
	RequestedAnnotation = "sim.ocifit-lab/requested-at"
	// PriceAnnotation is the on-demand price of the node in USD per hour.
	PriceAnnotation = "sim.ocifit-lab/price-usd-per-hour"
	// ReplaceAnnotation asks, with the value "true", that the node be taken away as soon as no pod needs it.
	ReplaceAnnotation = "sim.ocifit-lab/replace"
)

// The values of PhaseAnnotation.
const (
	PhaseRunning   = "running"
	PhaseSucceeded = "succeeded"
	PhaseFailed    = "failed"
)
