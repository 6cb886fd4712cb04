// Package provision says what every place that can carry a lab has in common.
package provision

import (
	"context"
	"errors"

	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/registry/login"
	"github.com/compspec/ocifit-lab/provision/step"
)

// ErrLeftovers says that something of the cluster still exists after its removal; the error's text lists it.
var ErrLeftovers = errors.New("still there")

// ErrNotOurs says that something of the cluster's name exists that the lab did not make.
var ErrNotOurs = errors.New("not made by this lab")

// Provider makes, finds and removes one cluster.
type Provider interface {
	// Name is the word for the provider in lab.yaml.
	Name() string
	// Traits are known without looking.
	Traits() Traits
	// Steps make the cluster, and their Undo removes it. Building them touches nothing.
	Steps() []step.Step
	// Connect returns the running cluster.
	Connect(ctx context.Context) (*kube.Cluster, error)
	// Environment returns what the addons need to know of a running cluster's surroundings.
	Environment(ctx context.Context) (Environment, error)
	// Status describes the cluster, also when nothing runs.
	Status(ctx context.Context) (Status, error)
	// Leftovers lists what still exists of the cluster; after its steps are undone it is empty.
	Leftovers(ctx context.Context) ([]string, error)
}

// State is where a cluster is in its life.
type State string

// The states of a cluster.
const (
	Absent   State = "absent"
	Starting State = "starting"
	Running  State = "running"
	Broken   State = "broken"
)

// Status is what a provider knows of its cluster.
type Status struct {
	Provider string `json:"provider"`
	State    State  `json:"state"`
	// Detail says why the cluster is broken, or what it is doing.
	Detail   string `json:"detail,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	// Simulated says in a sentence what of the cluster is not real; empty for a real one.
	Simulated string `json:"simulated,omitempty"`
	// Facts are further things worth showing, such as process id or memory.
	Facts map[string]string `json:"facts,omitempty"`
}

// Environment is what surrounds a cluster.
type Environment struct {
	// Registry is host:port of the lab's own registry, empty if it has none.
	Registry string
	// RegistryInCluster is the registry's host:port as pods and nodes name it; empty when that is Registry.
	RegistryInCluster string
	// PlainHTTP says that the registry is spoken to without TLS.
	PlainHTTP bool
	// RegistryLogin opens Registry.
	RegistryLogin login.Login
	// Webhook is where the provider itself serves the webhook; nil when it has to run in the cluster.
	Webhook *WebhookEndpoint
	// Simulated is the sentence of Status.
	Simulated string
}

// WebhookEndpoint is a webhook outside the cluster.
type WebhookEndpoint struct {
	URL string
	// CABundle is the PEM that its certificate is checked with.
	CABundle []byte
}
