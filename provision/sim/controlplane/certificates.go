package controlplane

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/pki"
)

// masters is the group that the API server allows everything, before any role exists.
const masters = "system:masters"

// KubeletClient is the common name by which the API server presents itself to the kubelet endpoint.
const KubeletClient = "kube-apiserver-kubelet-client"

type certificates struct {
	dir               string
	cluster, internal *pki.Authority
	signingKey        string
}

func issueCertificates(dir string) (*certificates, error) {
	c := &certificates{dir: dir}
	var err error
	if c.cluster, err = pki.LoadOrCreate(dir, "ca"); err != nil {
		return nil, err
	}
	if c.internal, err = pki.LoadOrCreate(dir, "internal-ca"); err != nil {
		return nil, err
	}
	if c.signingKey, err = pki.SigningKey(dir); err != nil {
		return nil, err
	}
	return c, c.issue()
}

// The clients of the API server.
const (
	adminName             = "ocifit-lab-admin"
	controllerManagerName = "system:kube-controller-manager"
	schedulerName         = "system:kube-scheduler"
)

// issue makes all certificates anew. Servers and clients read the files again when they change.
func (c *certificates) issue() error {
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	serving := pki.Request{
		CommonName: "kube-apiserver", IPs: append(loopback, serviceIP),
		DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
	}
	master := func(name string) pki.Request { return pki.Request{CommonName: name, Organization: []string{masters}} }
	for _, issue := range []struct {
		by   *pki.Authority
		name string
		for_ pki.Request
	}{
		{c.cluster, "apiserver", serving},
		{c.internal, "kubelet-client", pki.Request{CommonName: KubeletClient}},
		{c.cluster, clientFile(adminName), master(adminName)},
		{c.cluster, clientFile(controllerManagerName), master(controllerManagerName)},
		{c.cluster, clientFile(schedulerName), master(schedulerName)},
	} {
		issue.for_.Life = pki.ShortLife
		if _, _, err := issue.by.IssueTo(c.dir, issue.name, issue.for_); err != nil {
			return err
		}
	}
	return nil
}

func clientFile(user string) string { return strings.ReplaceAll(user, ":", "-") }

func (c *certificates) file(name string) string { return filepath.Join(c.dir, name) }

// kubeconfig writes a client configuration for a member of the masters group. It names the files of the certificate, which is renewed.
func (c *certificates) kubeconfig(path, context, user, server string) error {
	file := c.file(clientFile(user))
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{context: {Server: server, CertificateAuthorityData: c.cluster.CertPEM}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {ClientCertificate: file + ".crt", ClientKey: file + ".key"}},
		Contexts:       map[string]*clientcmdapi.Context{context: {Cluster: context, AuthInfo: user, Namespace: "default"}},
		CurrentContext: context,
	}
	data, err := clientcmd.Write(config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig of %s: %w", user, err)
	}
	return atomicfile.Write(path, data, 0o600)
}

// unlimited reads a kubeconfig and lifts the client's own rate limit: the server is on the same machine and protects itself.
func unlimited(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config, nil
}
