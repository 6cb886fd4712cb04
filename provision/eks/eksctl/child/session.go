// Package child is what the eks provider's child process does: eksctl's lower-level packages, with waits that answer to cancellation and
// requests that may be repeated.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kris-nova/logger"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/waiter"
	"github.com/weaveworks/eksctl/pkg/ctl/cmdutils"
	"github.com/weaveworks/eksctl/pkg/ctl/cmdutils/filter"
	"github.com/weaveworks/eksctl/pkg/eks"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child/serve"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
)

// waitLimit is what eksctl is told to wait at most; the real deadlines are the caller's, who ends the process.
const waitLimit = 6 * time.Hour

// defaultPoll is the shortest time between two looks at a stack.
const defaultPoll = 3 * time.Second

// Main is the hidden subcommand: it serves one request of package child and returns the exit code. It takes eksctl's globals for itself and
// must be the only thing that its process does.
func Main(ctx context.Context, in io.Reader, out io.Writer) int {
	os.Stdout = os.Stderr // nothing but the protocol may reach the parent's pipe
	return serve.Request(ctx, in, out, Do)
}

// Do does what a request asks.
func Do(ctx context.Context, req wire.Request, log wire.Log) error {
	takeLog(log, req.Debug)
	if req.Poll <= 0 {
		req.Poll = defaultPoll
	}
	waiter.ClusterCreationNextDelay = func(int) time.Duration { return req.Poll }
	if err := api.Register(); err != nil {
		return err
	}
	s := &session{ctx: ctx, req: req, log: func(format string, args ...any) { log("info", fmt.Sprintf(format, args...)) }}
	var err error
	switch req.Op {
	case wire.Check:
		_, err = s.load()
	case wire.ControlPlane:
		err = s.controlPlane()
	case wire.Identity:
		err = s.identity()
	case wire.NodeGroups:
		err = s.nodeGroups()
	case wire.Drop:
		err = s.drop()
	case wire.Delete:
		err = s.delete()
	default:
		err = fmt.Errorf("unknown operation %q", req.Op)
	}
	return outcome(err)
}

// outcome gives an error the form in which it leaves the process.
func outcome(err error) error {
	if err == nil {
		return nil
	}
	err = account.Explain(err)
	var e *wire.Error
	if !errors.As(err, &e) {
		e = &wire.Error{Text: err.Error()}
	}
	if account.IsExpired(err) {
		e.Code = wire.Expired
	}
	if e.Try == "" {
		e.Try = step.HintOf(err)
	}
	return e
}

// session is the work on one request.
type session struct {
	ctx context.Context
	req wire.Request
	log func(format string, args ...any)

	cfg   *api.ClusterConfig
	ctl   *eks.ClusterProvider
	cloud *account.Cloud
	stack *stacks
}

// load reads the cluster file as eksctl's create command does: strictly, with its defaults and its checks.
func (s *session) load() (*cmdutils.Cmd, error) {
	cmd := s.command(nil)
	cmd.ClusterConfigFile = "-"
	params := &cmdutils.CreateClusterCmdParams{}
	params.ConfigReader = bytes.NewReader(s.req.Config)
	refused := func(err error) error {
		return &wire.Error{Code: wire.Refused, Text: fmt.Sprintf("cluster file: %v", err)}
	}
	if err := cmdutils.NewCreateClusterLoader(cmd, filter.NewNodeGroupFilter(), api.NewNodeGroup(), params).Load(); err != nil {
		return nil, refused(err)
	}
	meta := cmd.ClusterConfig.Metadata
	if meta.Name != s.req.Name || meta.Region != s.req.Region {
		return nil, refused(fmt.Errorf("it is about cluster %s in %s, not %s in %s", meta.Name, meta.Region, s.req.Name, s.req.Region))
	}
	if meta.Tags == nil {
		meta.Tags = map[string]string{}
	}
	meta.Tags[clusterconfig.TagLab], meta.Tags[clusterconfig.TagManaged] = s.req.Owner, "true"
	if err := cmd.InitializeClusterConfig(); err != nil {
		return nil, refused(err)
	}
	if what := unsupported(cmd.ClusterConfig); what != "" {
		return nil, refused(fmt.Errorf("%s is not supported by the lab", what))
	}
	s.cfg = cmd.ClusterConfig
	return cmd, nil
}

// unsupported names the part of a user's file that eksctl does after what the lab has it do.
func unsupported(cfg *api.ClusterConfig) string {
	switch {
	case cfg.Karpenter != nil:
		return "karpenter"
	case cfg.GitOps != nil:
		return "gitops"
	case cfg.IsControlPlaneOnOutposts():
		return "outpost"
	case cfg.IsFullyPrivate():
		return "privateCluster"
	case cfg.IsAutoModeEnabled():
		return "autoModeConfig"
	case len(cfg.Capabilities) > 0:
		return "capabilities"
	}
	return ""
}

// command is a command of eksctl as its own main would make it, with no flag set.
func (s *session) command(cfg *api.ClusterConfig) *cmdutils.Cmd {
	var cmd *cmdutils.Cmd
	cmdutils.AddResourceCmd(cmdutils.NewGrouping(), cmdutils.NewVerbCmd("", "", ""), func(c *cmdutils.Cmd) { cmd = c })
	cmd.ClusterConfig, cmd.Wait = cfg, true
	cmd.ProviderConfig = api.ProviderConfig{Region: s.req.Region, WaitTimeout: waitLimit, Profile: api.Profile{Name: s.req.Profile}}
	return cmd
}

// open loads the file, asks AWS who we are, and puts our own parts into eksctl's provider.
func (s *session) open() error {
	cmd, err := s.load()
	if err != nil {
		return err
	}
	if s.ctl, err = cmd.NewCtl(); err != nil {
		return err
	}
	return s.replaceParts()
}

// openWithoutFile does the same with nothing but the cluster's name.
func (s *session) openWithoutFile() error {
	s.cfg = api.NewClusterConfig()
	s.cfg.Metadata.Name, s.cfg.Metadata.Region = s.req.Name, s.req.Region
	api.SetClusterConfigDefaults(s.cfg)
	var err error
	if s.ctl, err = eks.New(s.ctx, &s.command(s.cfg).ProviderConfig, s.cfg); err != nil {
		return err
	}
	return s.replaceParts()
}

func (s *session) replaceParts() error {
	var err error
	if s.cloud, err = account.Open(s.ctx, s.req.Region, s.req.Profile); err != nil {
		return err
	}
	s.stack = &stacks{CloudFormation: s.ctl.AWSProvider.CloudFormation(), s: s}
	s.ctl.AWSProvider = &provider{ClusterProvider: s.ctl.AWSProvider, cfn: s.stack, iam: &identities{IAM: s.ctl.AWSProvider.IAM(), s: s}}
	s.ctl.KubeProvider = &kube{KubeProvider: s.ctl.KubeProvider, s: s}
	return nil
}

// takeLog has eksctl's lines come to log, with their level.
func takeLog(log wire.Log, debug bool) {
	logger.Timestamps, logger.Color = false, false
	logger.BitwiseLevel = logger.LogAlways | logger.LogSuccess | logger.LogCritical | logger.LogWarning | logger.LogInfo
	if debug {
		logger.BitwiseLevel |= logger.LogDebug
	}
	logger.Line = func(prefix, format string, args ...any) string {
		text := format
		if len(args) > 0 {
			text = fmt.Sprintf(format, args...)
		}
		return strings.TrimSpace(prefix) + "\x00" + strings.TrimSpace(text)
	}
	logger.Writer = lineWriter(log)
}

var levels = map[string]string{"Critical": "error", "Warning": "warning", "Debug": "debug"}

type lineWriter wire.Log

func (w lineWriter) Write(p []byte) (int, error) {
	prefix, text, ok := strings.Cut(string(p), "\x00")
	if !ok {
		prefix, text = "", string(p)
	}
	level := levels[prefix]
	if level == "" {
		level = "info"
	}
	w(level, text)
	return len(p), nil
}
