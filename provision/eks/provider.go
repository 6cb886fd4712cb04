// Package eks makes, finds and removes the lab's cluster in an AWS account, with eksctl in a child process and its own eyes on what AWS says.
package eks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/parent"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// NodeGroup is one managed node group; its VCPU, MemoryMiB and Architecture are asked from AWS where they are zero.
type NodeGroup = clusterconfig.NodeGroup

// Options describe the cluster and where its files are.
type Options struct {
	Name              string // of lab and cluster
	Region            string
	KubernetesVersion string // minor; empty takes what EKS prefers
	NodeGroups        []NodeGroup
	// ClusterConfig is the path of a user's own eksctl file. It is used as it is and replaces NodeGroups, Region and KubernetesVersion.
	ClusterConfig string
	Profile       string            // of the shared AWS configuration; empty for the default
	Tags          map[string]string // put on everything that is made

	// Dir takes the generated cluster file, the child's home and its logs.
	Dir string
	// Kubeconfig is the file that Connect reads; it is written when the control plane is there.
	Kubeconfig string
	// Command starts the child that drives eksctl: a program, and the words of the subcommand that calls driver.Main.
	Command []string
	// TokenCommand is what the kubeconfig names for credentials: a program, and the words of the subcommand that prints Token. The cluster's
	// name, region and profile are added as --cluster, --region and --profile.
	TokenCommand []string

	// Registry says that the lab uses the account's registry, so that the preflight looks whether it may, and down what is there.
	Registry bool

	// Catalogue lists the instance types that the webhook may choose; each needs a node group. Skip lists those that it never chooses.
	Catalogue, Skip []string
	// Prices is the dated table used where AWS gives no price, in USD an hour, and PricesNote the sentence on where it is from.
	Prices     map[string]float64
	PricesNote string

	// ScaleDownAfter is how long the autoscaler leaves a node that nobody needs; it is part of the lab's price.
	ScaleDownAfter time.Duration

	// Checks are looked at by the preflight beside its own: that charts and images can be reached, for example. Each has a name.
	Checks []provision.NamedCheck

	// Environment is what surrounds the cluster, as a webhook that runs elsewhere. EKS itself gives neither a registry nor a webhook.
	Environment provision.Environment

	// Consent is asked before a failed stack is deleted to make it again. Nil refuses.
	Consent func(ctx context.Context, question string) (bool, error)

	// Env is added to the child's environment, Poll is the time between two looks at AWS, Started is told every child; all for tests.
	Env     []string
	Poll    time.Duration
	Started func(pid int)
}

// Provider is provider eks. Its exported functions may be called at the same time.
type Provider struct {
	opts   Options
	asking sync.Mutex

	mu      sync.Mutex
	cloud   *account.Cloud
	asker   *account.Cloud // for questions before anything is made
	seen    *snapshot
	seenAt  time.Time
	facts   *clusterconfig.Facts // of the user's own file
	factErr error
}

var _ provision.Provider = (*Provider)(nil)

// The service account that carries the autoscaler's IAM role, made by the step StepIdentity.
const (
	AutoscalerNamespace = clusterconfig.AutoscalerNamespace
	AutoscalerAccount   = clusterconfig.AutoscalerAccount
)

// ErrLeftovers says that something of the cluster still exists after its removal; the error's text lists it.
var ErrLeftovers = provision.ErrLeftovers

// ErrNotOurs says that something of the cluster's name exists that the lab did not make.
var ErrNotOurs = provision.ErrNotOurs

// New prepares the provider. It reads a user's cluster file, if there is one, and touches nothing else.
func New(opts Options) *Provider {
	p := &Provider{opts: opts}
	if p.opts.Poll <= 0 {
		p.opts.Poll = 5 * time.Second
	}
	if opts.ClusterConfig == "" {
		return p
	}
	data, err := os.ReadFile(opts.ClusterConfig)
	if err == nil {
		var f clusterconfig.Facts
		if f, err = clusterconfig.Read(data); err == nil {
			p.facts = &f
			p.opts.Name, p.opts.Region, p.opts.NodeGroups = f.Name, f.Region, f.NodeGroups
			if f.KubernetesVersion != "" {
				p.opts.KubernetesVersion = f.KubernetesVersion
			}
		}
	}
	if err != nil {
		p.factErr = fmt.Errorf("%s: %w", opts.ClusterConfig, err)
	}
	return p
}

// Name implements provision.Provider.
func (p *Provider) Name() string { return "eks" }

// What its clusters have of what the lab may need.
var (
	_ provision.Estimator        = (*Provider)(nil)
	_ provision.Preflighter      = (*Provider)(nil)
	_ provision.Previewer        = (*Provider)(nil)
	_ provision.ImageRegistry    = (*Provider)(nil)
	_ provision.KubeconfigMerger = (*Provider)(nil)
	_ provision.LogCollector     = (*Provider)(nil)
)

// metadataPort is that of a machine's metadata service, at which a pod may have to ask for the machine's role.
const metadataPort = 80

// Traits implements provision.Provider.
func (p *Provider) Traits() provision.Traits {
	t := provision.Traits{
		Cluster: p.opts.Name, KubernetesVersion: p.opts.KubernetesVersion, WebhookPorts: []int{metadataPort},
		Autoscaling: &provision.Autoscaling{Cluster: p.opts.Name, Region: p.opts.Region, ServiceAccount: AutoscalerAccount},
		Stages:      &provision.Stages{API: StepKubeconfig, Nodes: StepSticky, Identity: StepIdentity},
		ProofStep:   StepPreflight,
	}
	if p.opts.Environment.Webhook != nil {
		t.Outside = true
		t.StandIns = map[string]string{"webhook": "beside the cluster", "miniclusters": "beside the cluster", "autoscaler": "beside the cluster"}
	}
	// A user's own cluster file may label its nodes differently.
	if p.opts.ClusterConfig == "" {
		t.StickyLabels = map[string]string{clusterconfig.LabelPool: "sticky"}
	}
	return t
}

// Made tells whether everything that costs money is there already: up would spend nothing new.
func (p *Provider) Made(ctx context.Context) (bool, error) { return p.allMade(ctx) }

// Connect implements provision.Provider.
func (p *Provider) Connect(context.Context) (*kube.Cluster, error) {
	return kube.Connect(p.opts.Kubeconfig)
}

// Environment implements provision.Provider with that of the options. For the account's registry see Repository.
func (p *Provider) Environment(context.Context) (provision.Environment, error) {
	return p.opts.Environment, p.factErr
}

// aws opens the region once.
func (p *Provider) aws(ctx context.Context) (*account.Cloud, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factErr != nil {
		return nil, p.factErr
	}
	if p.cloud == nil {
		c, err := account.Open(ctx, p.opts.Region, p.opts.Profile)
		if err != nil {
			return nil, err
		}
		p.cloud = c
	}
	return p.cloud, nil
}

// quick opens the region once for questions that give up soon.
func (p *Provider) quick(ctx context.Context) (*account.Cloud, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factErr != nil {
		return nil, p.factErr
	}
	if p.asker == nil {
		c, err := account.OpenQuick(ctx, p.opts.Region, p.opts.Profile)
		if err != nil {
			return nil, err
		}
		p.asker = c
	}
	return p.asker, nil
}

func (p *Provider) owner() account.Owner {
	o := account.Owner{Cluster: p.opts.Name, TagKey: clusterconfig.TagLab, TagValue: p.opts.Name, Issuer: p.issuer()}
	if p.opts.Registry {
		o.Repositories = p.repositories()
	}
	return o
}

// issuerFile keeps the address of the cluster's OIDC issuer, which nobody can tell any more when the cluster is gone.
const issuerFile = "issuer"

func (p *Provider) issuer() string {
	data, _ := os.ReadFile(p.path(issuerFile))
	return strings.TrimSpace(string(data))
}

// rememberIssuer writes down the issuer of a cluster that is ours and there. What cannot be had is done without.
func (p *Provider) rememberIssuer(ctx context.Context) {
	if v, err := p.snapshot(ctx); err == nil && v.ours(p.opts.Name) && v.cluster.Issuer != "" && v.cluster.Issuer != p.issuer() {
		_ = writeFile(p.path(issuerFile), []byte(v.cluster.Issuer+"\n"), 0o600)
	}
}

func (p *Provider) path(names ...string) string {
	return filepath.Join(append([]string{p.opts.Dir}, names...)...)
}

// runner starts children for the lab.
func (p *Provider) runner() *parent.Runner {
	return &parent.Runner{Command: p.opts.Command, Env: p.opts.Env, Home: p.path("child"), Logs: p.path("logs"), Started: p.opts.Started}
}

// snapshot is what exists of the cluster at a moment.
type snapshot struct {
	cluster *account.Cluster
	stacks  map[string]account.Stack
}

// snapshotLife is how long a view is good for: long enough for the steps that ask one after another whether they are done.
const snapshotLife = 3 * time.Second

// snapshot asks AWS what exists, or gives the answer of a moment ago.
func (p *Provider) snapshot(ctx context.Context) (*snapshot, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen != nil && time.Since(p.seenAt) < snapshotLife {
		return p.seen, nil
	}
	v, err := p.snapshotWith(ctx, c)
	if err == nil {
		p.seen, p.seenAt = v, time.Now()
	}
	return v, err
}

// snapshotWith asks anew.
func (p *Provider) snapshotWith(ctx context.Context, c *account.Cloud) (*snapshot, error) {
	k, err := c.Cluster(ctx, p.opts.Name)
	if err != nil {
		return nil, err
	}
	stacks, err := c.Stacks(ctx, p.opts.Name)
	if err != nil {
		return nil, err
	}
	v := &snapshot{cluster: k, stacks: map[string]account.Stack{}}
	for _, s := range stacks {
		v.stacks[s.Name] = s
	}
	return v, nil
}

// invalidate drops the snapshot, as something has changed.
func (p *Provider) invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

func (v *snapshot) ours(owner string) bool {
	return v.cluster != nil && v.cluster.Tags[clusterconfig.TagLab] == owner
}

func (v *snapshot) whole(stack string) bool {
	s, ok := v.stacks[stack]
	return ok && s.Whole()
}
