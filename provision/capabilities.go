package provision

import (
	"context"
	"time"

	"github.com/compspec/ocifit-lab/provision/cost"
)

// Traits are what is known of a provider's clusters before there is one.
type Traits struct {
	// Cluster is the cluster's own name, when it has one.
	Cluster string
	// Outside says that webhook, MiniCluster controller and autoscaler run beside the cluster, so that none of them is installed in it.
	Outside bool
	// StandIns name, by part, what takes the place of a part of the real study.
	StandIns map[string]string
	// KubernetesVersion is the minor version that the cluster gets; empty when the provider carries its own.
	KubernetesVersion string
	// NodeImage is the image of the nodes where they are made from one.
	NodeImage string
	// WebhookPorts are the ports that a webhook in the cluster speaks to besides 443.
	WebhookPorts []int
	// StickyLabels are those of the nodes that are always there; empty when they carry none.
	StickyLabels map[string]string
	// Autoscaling is set where an autoscaler has to be installed into the cluster.
	Autoscaling *Autoscaling
	// Stages are the steps after which parts of the cluster can be used; nil: after all of them.
	Stages *Stages
	// ProofStep is the step whose Undo removes nothing but proves that nothing is left; empty when there is none.
	ProofStep string
}

// Autoscaling is what an autoscaler in the cluster is told.
type Autoscaling struct{ Cluster, Region, ServiceAccount string }

// Stages name a provider's steps for those who wait for a part of the cluster only.
type Stages struct {
	API      string // the API server answers
	Nodes    string // the nodes that are always there are ready
	Identity string // pods get the cloud's rights by their service account
}

// Estimator is a provider whose clusters cost money.
type Estimator interface {
	// Estimate adds up what the cluster costs an hour. Online it asks for prices, else it takes them from dated tables and asks nobody.
	Estimate(ctx context.Context, online bool) (*Estimate, error)
	// Costs is what the lab's price depends on, for plans and meters, with prices from the same sources.
	Costs(ctx context.Context, online bool) (*cost.Lab, error)
	// Made tells whether everything that costs money is there already: up would spend nothing new.
	Made(ctx context.Context) (bool, error)
}

// Preflighter is a provider that can look, before anything is made, at what would make up fail later.
type Preflighter interface {
	// Preflight makes nothing. The error is for a preflight that could not be done; what was found is in the report.
	Preflight(ctx context.Context) (*Report, error)
}

// Previewer is a provider that makes its cluster from a file.
type Previewer interface {
	// Preview returns the file as far as it can be known without asking anybody.
	Preview() ([]byte, error)
}

// Deviator is a provider whose clusters differ from the study's in what may change its results.
type Deviator interface {
	// Deviations says each in a sentence, without asking anybody.
	Deviations() []string
}

// ImageRegistry is a provider whose clusters pull from a registry outside of them.
type ImageRegistry interface {
	// Repository makes a repository of the lab's unless it is there, and returns its address with a login for a push. It goes with the lab.
	Repository(ctx context.Context, name string) (Repository, error)
	// FindRepository is Repository without making one: its Reference is empty when there is none.
	FindRepository(ctx context.Context, name string) (Repository, error)
	// RepositoryName is the full name of one of the lab's repositories: ImageRepository or ArtifactRepository.
	RepositoryName(name string) string
}

// Names of the lab's repositories in a registry that labs share.
const (
	ImageRepository    = "ocifit-lab"               // the image of this program
	ArtifactRepository = "ocifit-k8s-compatibility" // the compatibility artifact
)

// Repository is a place in a registry, with a login that lasts for hours.
type Repository struct {
	Reference, User, Password string
	// PlainHTTP says that the registry is spoken to without TLS.
	PlainHTTP bool
}

// ProgramImager is a provider that makes an image of this program for its cluster.
type ProgramImager interface {
	// ProgramImage is the image as the cluster names it.
	ProgramImage() (string, error)
}

// KubeconfigMerger is a provider whose cluster can be put into the user's own kubeconfig.
type KubeconfigMerger interface {
	// Merge adds the cluster to a kubeconfig file and returns the name of the context. Something else of the same name is not replaced.
	Merge(ctx context.Context, file string) (name string, err error)
	// Unmerge takes out what Merge put in. An entry for another API server than endpoint is somebody else's.
	Unmerge(file, endpoint string) error
}

// LogCollector is a provider that can export what its nodes and pods said.
type LogCollector interface {
	CollectLogs(ctx context.Context, dir string) error
}

// ShortageTeller is a provider that learns why no machine of a type comes.
type ShortageTeller interface {
	// Shortage says, in the words of whoever lends machines, why the latest attempt since a moment to get one of a type failed; empty when
	// none failed, or not for want of machines.
	Shortage(ctx context.Context, instanceType string, since time.Time) (string, error)
}

// Quoter is a provider whose account may run so many vCPUs of a family of instance types at once.
type Quoter interface {
	Quotas(ctx context.Context) (Quotas, error)
}

// Quotas bound what trials can run side by side.
type Quotas struct {
	Family map[string]string // of the instance types that trials may run on
	// VCPUs are what a family has for trials, beside the nodes that always run. A quota that could not be asked is absent.
	VCPUs map[string]int
}

// NodeReplacer is a provider that can end a machine on demand.
type NodeReplacer interface {
	// ReplaceNode takes the node away for good and returns when it is gone; its group makes another one when a pod needs it, or at
	// once if it has to keep its minimum. The caller sees to it that nothing runs there. A node that is gone already is fine, one that
	// carries the lab's own parts is refused.
	ReplaceNode(ctx context.Context, name string) error
}
