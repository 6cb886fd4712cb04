package awstest

import (
	"context"

	"k8s.io/client-go/rest"
)

// ControlPlane is what stands behind an EKS cluster of the endpoint.
type ControlPlane interface {
	// Start makes the cluster's API server and returns its https address and the PEM its certificate is checked with.
	Start(ctx context.Context, c ClusterSpec) (endpoint string, ca []byte, err error)
	// Scale makes the group have exactly Desired ready nodes, named as in Nodes, and returns when they are there.
	Scale(ctx context.Context, g GroupSpec) error
	// Stop ends the cluster. It may be called for one that was never started.
	Stop(ctx context.Context, cluster string) error
}

// ClusterSpec is what a control plane has to know of its cluster.
type ClusterSpec struct {
	Name, Version string
	ServiceCIDR   string
	// Front puts an API server that knows nothing of EKS behind one that takes EKS's tokens: it returns the address to give out, and hands
	// on with config what comes with a good token. stop ends it.
	Front func(config *rest.Config) (endpoint string, ca []byte, stop func(), err error)
	// TokenReview is the URL of an authentication webhook (authentication.k8s.io/v1 TokenReview) that knows the tokens of EKS; TokenReviewCA
	// is the PEM to check it with. A valid token belongs to the user "lab" in group system:masters.
	TokenReview   string
	TokenReviewCA []byte
}

// GroupSpec is a node group at a moment.
type GroupSpec struct {
	Cluster, Name, InstanceType string
	Architecture                string // amd64 or arm64
	VCPU                        int
	MemoryMiB                   int64
	Min, Max, Desired           int
	Zones                       []string
	Labels                      map[string]string // those that EKS and eksctl put on nodes included
	Nodes                       []string          // names of the nodes that shall exist
}
