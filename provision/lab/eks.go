package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// EKS configures provider eks.
type EKS struct {
	// Profile is the one of the shared AWS configuration; empty takes AWS's own choice.
	Profile string `yaml:"profile,omitempty"`
	// ClusterConfig is the path of an eksctl file that is used as it is. It replaces name, region, Kubernetes version and node groups.
	ClusterConfig string `yaml:"clusterConfig,omitempty"`
	// WebhookImage is an image of ocifit-lab that the cluster can pull; empty means one made from the running program, in the account's
	// registry.
	WebhookImage string `yaml:"webhookImage,omitempty"`
	// Tags are put on everything that is made, beside the lab's own.
	Tags map[string]string `yaml:"tags,omitempty"`
}

func (e EKS) validate() []error {
	var problems []error
	for k := range e.Tags {
		if k == "" || strings.HasPrefix(k, "aws:") || strings.HasPrefix(k, "ocifit-lab/") {
			problems = append(problems, fmt.Errorf("eks.tags: %q cannot be a tag of yours; aws: and ocifit-lab/ are taken", k))
		}
	}
	if e.ClusterConfig != "" && filepath.Ext(e.ClusterConfig) == "" {
		problems = append(problems, fmt.Errorf("eks.clusterConfig %q: name an eksctl file, such as eks-config.yaml", e.ClusterConfig))
	}
	return problems
}
