package kind

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// registryConfig makes containerd look for what it should know of a registry in a folder, where wireRegistry puts it.
const registryConfig = `[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"`

// untaint lets the addons run beside the control plane, as on the study's sticky node.
const untaint = `kind: InitConfiguration
nodeRegistration:
  taints: []`

// oldCgroups keeps kubelet 1.35 and later from refusing to start on cgroup v1.
const oldCgroups = `kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
failCgroupV1: false`

// clusterConfig is the cluster as kind wants it described.
func (p *Provider) clusterConfig(cgroup string) *v1alpha4.Cluster {
	c := &v1alpha4.Cluster{
		TypeMeta:                v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:                    p.opts.Cluster,
		ContainerdConfigPatches: []string{registryConfig},
		Nodes:                   []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole, KubeadmConfigPatches: []string{untaint}}},
	}
	if cgroup == "1" {
		c.KubeadmConfigPatches = []string{oldCgroups}
	}
	for range p.opts.Workers {
		c.Nodes = append(c.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole})
	}
	return c
}

// fingerprint tells one wish for a cluster from another.
func (p *Provider) fingerprint() string {
	data, _ := json.Marshal(struct {
		Image   string
		Cluster *v1alpha4.Cluster
	}{p.opts.NodeImage, p.clusterConfig("")})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
