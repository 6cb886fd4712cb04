package eks

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
)

// roleAnnotation is where EKS looks for the role of a service account.
const roleAnnotation = "eks.amazonaws.com/role-arn"

func (p *Provider) allMade(ctx context.Context) (bool, error) {
	var names []string
	for _, g := range p.opts.NodeGroups {
		names = append(names, g.Name)
	}
	for _, made := range []func(context.Context) (bool, error){
		p.controlPlaneMade,
		func(ctx context.Context) (bool, error) { return p.groupsMade(ctx, names) },
		p.identityMade,
	} {
		if ok, err := made(ctx); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// controlPlaneMade wants the cluster active, ours, and with those addons that are made before the nodes, which comes last.
func (p *Provider) controlPlaneMade(ctx context.Context) (bool, error) {
	v, err := p.snapshot(ctx)
	if err != nil || !v.ours(p.opts.Name) || v.cluster.Status != "ACTIVE" || !v.whole(p.stack("cluster")) {
		return false, err
	}
	want := clusterconfig.Networking
	if p.facts != nil {
		want = intersect(clusterconfig.Networking, p.facts.Addons)
	}
	return p.addonsMade(ctx, want)
}

func (p *Provider) addonsMade(ctx context.Context, want []string) (bool, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return false, err
	}
	addons, err := c.Addons(ctx, p.opts.Name)
	if err != nil {
		return false, err
	}
	have := map[string]string{}
	for _, a := range addons {
		have[a.Name] = a.Status
	}
	return !slices.ContainsFunc(want, func(n string) bool { return have[n] == "" || have[n] == "CREATE_FAILED" }), nil
}

// groupsMade wants the groups' stacks whole and, for a generated cluster, the autoscaler's tags on their scaling groups: eksctl puts them
// there after the stack, and without them no group ever starts from zero.
func (p *Provider) groupsMade(ctx context.Context, groups []string) (bool, error) {
	v, err := p.snapshot(ctx)
	if err != nil || slices.ContainsFunc(groups, func(g string) bool { return !v.whole(p.stack("nodegroup-" + g)) }) {
		return false, err
	}
	if p.facts != nil {
		return true, nil
	}
	c, err := p.aws(ctx)
	if err != nil {
		return false, err
	}
	tags, err := c.ScalingTags(ctx, p.opts.Name)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(groups, func(g string) bool { return tags[g][clusterconfig.TemplateTypeTag] == "" }), nil
}

// identityMade wants the roles' stacks whole and the service accounts to name their roles, which comes last, and the other addons of a user's
// file to be there.
func (p *Provider) identityMade(ctx context.Context) (bool, error) {
	accounts := []string{clusterconfig.AutoscalerNamespace + "/" + clusterconfig.AutoscalerAccount}
	if p.facts != nil {
		accounts = p.facts.ServiceAccounts
	}
	v, err := p.snapshot(ctx)
	if err != nil || !v.ours(p.opts.Name) {
		return false, err
	}
	if p.facts != nil {
		if ok, err := p.addonsMade(ctx, p.facts.Addons); !ok || err != nil {
			return false, err
		}
	}
	k, err := p.Connect(ctx)
	if err != nil {
		return false, nil // without a kubeconfig it cannot be known
	}
	for _, a := range accounts {
		namespace, name, _ := strings.Cut(a, "/")
		if !v.whole(p.stack("addon-iamserviceaccount-" + namespace + "-" + name)) {
			return false, nil
		}
		sa, err := k.Clientset.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil || sa.Annotations[roleAnnotation] == "" {
			return false, nil
		}
	}
	return true, nil
}

func (p *Provider) stack(part string) string { return "eksctl-" + p.opts.Name + "-" + part }
