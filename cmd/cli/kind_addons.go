package cli

import (
	"context"
	"net"
	"strconv"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/artifact"
	"github.com/compspec/ocifit-lab/addons/labcert"
	builtin "github.com/compspec/ocifit-lab/addons/minicluster"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/addons/webhook"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// realAddons are those of a cluster that is not simulated: everything runs in it.
func (s *setup) realAddons() ([]addons.Addon, error) {
	spec, c := s.spec, s.spec.Components
	list := []addons.Addon{
		&nodefeatures.Addon{Namespace: systemNamespace, Features: templates.NodeFeatures(spec.HasGroup), Types: len(spec.InstanceTypes())},
		&artifact.Addon{Title: s.artifactTitle(), Target: s.artifactTarget, Images: spec.Artifact.Images},
	}
	if c.CertificatesBy() == lab.LabCertificates {
		list = append(list, &labcert.Addon{Namespace: systemNamespace, Secret: webhook.Secret, Service: webhook.Service})
	}
	if c.MiniClustersBy() == lab.Builtin {
		list = append(list, &builtin.Addon{Namespace: systemNamespace, Image: s.programImage})
	}
	return append(list, &webhook.InCluster{
		Namespace: systemNamespace, CertManager: c.CertificatesBy() == lab.CertManager, Image: s.programImage, Artifact: s.artifactRef,
		PlainHTTP: s.plainInCluster, Model: compat.Random, Skip: spec.Webhook.Skip, TieBreak: spec.Webhook.TieBreak,
		Mirrors: c.RegistryMirrors, EgressPorts: []int{registryPort},
	}), nil
}

// registryPort is where a lab's own registry listens inside a cluster's network.
const registryPort = 5000

// plainInCluster lists the registries that a pod speaks to without TLS.
func (s *setup) plainInCluster(ctx context.Context) ([]string, error) {
	env, err := s.provider.Environment(ctx)
	if err != nil || !env.PlainHTTP || env.RegistryInCluster == "" {
		return nil, err
	}
	if _, port, err := net.SplitHostPort(env.RegistryInCluster); err == nil {
		if _, err := strconv.Atoi(port); err == nil {
			return []string{env.RegistryInCluster}, nil
		}
	}
	return nil, nil
}
