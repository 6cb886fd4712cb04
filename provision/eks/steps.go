package eks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Names of the provider's steps, for steps of others that need one of them.
const (
	StepPreflight    = "eks-preflight"
	StepControlPlane = "eks-control-plane"
	StepKubeconfig   = "eks-kubeconfig" // from here on the API server can be talked to
	StepSticky       = "eks-sticky-nodes"
	StepGroups       = "eks-node-groups"
	StepIdentity     = "eks-identity" // roles of service accounts
)

// AWS takes about ten minutes for a control plane and three for a node group; the deadlines leave room for a bad day.
const (
	preflightTime    = 5 * time.Minute
	controlPlaneTime = 40 * time.Minute
	groupsTime       = 30 * time.Minute
	identityTime     = 15 * time.Minute
	evidenceTime     = 8 * time.Second // less than what a stopped step may take to end
)

// Steps implements provision.Provider. Undoing the first step, which comes last, proves that nothing is left.
func (p *Provider) Steps() []step.Step {
	sticky, others := p.groups()
	steps := []step.Step{
		{
			Name: StepPreflight, Timeout: preflightTime,
			Plan: fmt.Sprintf("check credentials, permissions, quotas, instance types and names in %s", p.opts.Region),
			Done: p.allMade,
			Run:  p.prepare,
			Undo: p.verifyEmpty,
		},
		{
			Name: StepControlPlane, Needs: []string{StepPreflight}, Timeout: controlPlaneTime,
			Plan: fmt.Sprintf("create EKS cluster %s (Kubernetes %s) with its network and networking addons", p.opts.Name, p.version()),
			Done: p.controlPlaneMade,
			Run:  p.childStep(wire.ControlPlane, nil),
			Undo: p.childUndo(wire.Delete, nil),
		},
		{
			Name: StepKubeconfig, Needs: []string{StepControlPlane}, Timeout: time.Minute,
			Plan: "write the lab's kubeconfig",
			Done: p.kubeconfigMade,
			Run:  p.writeKubeconfig,
			Undo: p.removeKubeconfig,
		},
	}
	if len(sticky) > 0 {
		steps = append(steps, p.groupStep(StepSticky, "create the sticky node group %s and wait for its nodes", sticky))
	}
	if len(others) > 0 {
		steps = append(steps, p.groupStep(StepGroups, "create the node groups of the experiments, side by side: %s", others))
	}
	return append(steps, step.Step{
		Name: StepIdentity, Needs: []string{StepControlPlane}, Timeout: identityTime,
		Plan: "create the OIDC provider and the autoscaler's IAM role",
		Done: p.identityMade,
		Run:  p.childStep(wire.Identity, nil),
		// Undone with the control plane.
	})
}

func (p *Provider) version() string {
	if p.opts.KubernetesVersion == "" {
		return "as EKS prefers"
	}
	return p.opts.KubernetesVersion
}

func (p *Provider) groups() (sticky, others []string) {
	for _, g := range p.opts.NodeGroups {
		if g.Sticky {
			sticky = append(sticky, g.Name)
		} else {
			others = append(others, g.Name)
		}
	}
	return sticky, others
}

func (p *Provider) groupStep(name, plan string, groups []string) step.Step {
	return step.Step{
		Name: name, Needs: []string{StepControlPlane}, Timeout: groupsTime,
		Plan: fmt.Sprintf(plan, strings.Join(groups, ", ")),
		Done: func(ctx context.Context) (bool, error) { return p.groupsMade(ctx, groups) },
		Run:  p.childStep(wire.NodeGroups, groups),
		Undo: p.childUndo(wire.Drop, groups),
	}
}

// childStep has a child do its part; a failed stack in the way is deleted and made again if the user consents.
func (p *Provider) childStep(op wire.Op, groups []string) func(context.Context, step.Log) error {
	return func(ctx context.Context, log step.Log) error {
		file, err := p.clusterFile(ctx)
		if err != nil {
			return err
		}
		req := p.request(op, groups)
		req.Config = file
		err = p.run(ctx, req, log)
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.Consent {
			return err
		}
		question := e.Error() + "\nDelete it and make it again?"
		if ok, askErr := p.consent(ctx, question); askErr != nil || !ok {
			return errors.Join(step.Try(err, "repeat up with --recreate-failed, which is the consent to delete failed stacks, or take everything down"), askErr)
		}
		req.Recreate = true
		return p.run(ctx, req, log)
	}
}

func (p *Provider) consent(ctx context.Context, question string) (bool, error) {
	if p.opts.Consent == nil {
		return false, nil
	}
	p.asking.Lock() // steps run side by side; questions do not
	defer p.asking.Unlock()
	return p.opts.Consent(ctx, question)
}

// childUndo has a child delete; without anything of the cluster in the account it does nothing.
func (p *Provider) childUndo(op wire.Op, groups []string) func(context.Context, step.Log) error {
	return func(ctx context.Context, log step.Log) error {
		if p.factErr != nil && p.opts.Name == "" {
			return p.factErr
		}
		p.rememberIssuer(ctx)
		req := p.request(op, groups)
		o := p.owner()
		req.Repositories, req.Issuer = o.Repositories, o.Issuer
		return p.run(ctx, req, log)
	}
}

func (p *Provider) request(op wire.Op, groups []string) wire.Request {
	return wire.Request{Op: op, Name: p.opts.Name, Region: p.opts.Region, Profile: p.opts.Profile, Owner: p.opts.Name, Groups: groups, Poll: p.opts.Poll}
}

// run starts a child and shows what it says, warnings and errors included, as the step's details.
func (p *Provider) run(ctx context.Context, req wire.Request, log step.Log) error {
	defer p.invalidate()
	err := p.runner().Run(ctx, req, func(level, text string) {
		if level != "debug" && text != "" {
			log("%s", text)
		}
	})
	var e *wire.Error
	if errors.As(err, &e) && e.Code == wire.NotOurs {
		err = errors.Join(ErrNotOurs, err)
	}
	if err != nil && req.Op != wire.Check {
		p.keepEvidence(ctx)
	}
	return err
}

// keepEvidence saves what AWS says about a failure beside the child's logs, also when the step was stopped. What cannot be had is done without.
func (p *Provider) keepEvidence(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), evidenceTime)
	defer cancel()
	_ = p.CollectLogs(ctx, p.path("logs"))
}
