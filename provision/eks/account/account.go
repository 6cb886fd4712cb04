// Package account asks AWS what the eks provider wants to know, and takes away what eksctl does not; only plain facts leave it.
package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/compspec/ocifit-lab/provision/step"
)

// attempts is how often a call is tried; throttled and broken calls wait a little longer each time, 20 seconds at most. Questions before
// anything is made are tried a few times only: nobody should wait minutes to hear that a service is down.
const (
	attempts      = 8
	quickAttempts = 3
	quickBackoff  = time.Second
)

// Cloud is one region of the caller's account.
type Cloud struct {
	Region string

	profile string
	config  aws.Config
	cfn     *cloudformation.Client
	ec2     *ec2.Client
	eks     *eks.Client
	iam     *iam.Client
	sts     *sts.Client
	logs    *cloudwatchlogs.Client
	elb     *elb.Client
	elbv2   *elbv2.Client
	ecr     *ecr.Client
	quotas  *servicequotas.Client
	asg     *autoscaling.Client
	ssm     *ssm.Client

	mu     sync.Mutex
	firsts map[string]time.Time // see since
}

// Open prepares the clients for a region with the credentials that the environment, the shared files or the machine give. It calls nothing;
// an empty profile means the default one.
func Open(ctx context.Context, region, profile string) (*Cloud, error) {
	return open(ctx, region, profile, attempts, 20*time.Second)
}

// OpenQuick is Open for questions whose answer can wait: calls that fail are given up after a few seconds.
func OpenQuick(ctx context.Context, region, profile string) (*Cloud, error) {
	return open(ctx, region, profile, quickAttempts, quickBackoff)
}

func open(ctx context.Context, region, profile string, tries int, backoff time.Duration) (*Cloud, error) {
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(region),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = tries, backoff })
		}),
	}
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, step.Try(fmt.Errorf("read the AWS configuration: %w", err), "check AWS_PROFILE and ~/.aws/config")
	}
	if cfg.Region == "" {
		return nil, step.Try(errors.New("no AWS region"), "set region in lab.yaml")
	}
	return &Cloud{
		Region: cfg.Region, profile: profile, config: cfg, firsts: map[string]time.Time{},
		cfn: cloudformation.NewFromConfig(cfg), ec2: ec2.NewFromConfig(cfg), eks: eks.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg),
		sts:  sts.NewFromConfig(cfg, func(o *sts.Options) { o.RetryMaxAttempts = 3 }),
		logs: cloudwatchlogs.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), elbv2: elbv2.NewFromConfig(cfg),
		ecr: ecr.NewFromConfig(cfg), quotas: servicequotas.NewFromConfig(cfg), asg: autoscaling.NewFromConfig(cfg), ssm: ssm.NewFromConfig(cfg),
	}, nil
}

// Identity is who calls.
type Identity struct{ Account, ARN string }

// Identity asks who the credentials belong to.
func (c *Cloud) Identity(ctx context.Context) (Identity, error) {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, explainFor(c.profile, fmt.Errorf("ask AWS who we are: %w", err))
	}
	return Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}

// Partition is the part of AWS that the account is in: aws, aws-us-gov, aws-cn.
func (i Identity) Partition() string {
	partition, _, _ := strings.Cut(strings.TrimPrefix(i.ARN, "arn:"), ":")
	return partition
}

// Role is the name of the role whose session an identity is, empty for users.
func (i Identity) Role() string {
	_, rest, _ := strings.Cut(i.ARN, ":assumed-role/")
	role, _, _ := strings.Cut(rest, "/")
	return role
}

// Principal is the role or user behind an identity, as IAM's simulator wants it. The session of a role does not tell the role's path, as
// that of every role of single sign-on has one, so IAM is asked; when it does not tell, the path is taken for empty.
func (c *Cloud) Principal(ctx context.Context, i Identity) string {
	role := i.Role()
	if role == "" {
		return i.ARN
	}
	if arn, err := c.RoleARN(ctx, role); err == nil && arn != "" {
		return arn
	}
	return fmt.Sprintf("arn:%s:iam::%s:role/%s", i.Partition(), i.Account, role)
}

// Code returns AWS's name for an error, as "ExpiredToken"; empty when the error is not an answer of AWS.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// IsNotFound tells whether AWS answered that the thing asked for does not exist.
func IsNotFound(err error) bool {
	code := Code(err)
	return strings.Contains(code, "NotFound") || strings.Contains(code, "NoSuchEntity") || code == "NoSuchResourceException" ||
		(code == "ValidationError" && strings.Contains(err.Error(), "does not exist"))
}

// isDenied tells whether AWS answered that the caller may not.
func isDenied(err error) bool {
	code := Code(err)
	return strings.Contains(code, "AccessDenied") || strings.Contains(code, "Unauthorized")
}

// IsExpired tells whether the caller's session has ended.
func IsExpired(err error) bool {
	return strings.Contains(Code(err), "ExpiredToken") || Code(err) == "RequestExpired"
}

// Explain adds to an error of AWS what its reader can do about it.
func Explain(err error) error { return explainFor("", err) }

// explainFor knows the profile that lab.yaml names; without one it is that of the environment.
func explainFor(profile string, err error) error {
	code := Code(err)
	switch {
	case err == nil:
		return nil
	case isLogin(err):
		return step.Try(err, "%s", "the login of single sign-on is missing or has ended: "+loginCommand(profile)+", and repeat the command")
	case IsExpired(err):
		return step.Try(err, "the AWS session has ended: log in again (aws sso login, or new keys) and repeat the command, it goes on where it stopped")
	case code == "InvalidClientTokenId" || code == "SignatureDoesNotMatch" || code == "UnrecognizedClientException" || code == "AuthFailure":
		return step.Try(err, "AWS does not know these credentials: check AWS_PROFILE or AWS_ACCESS_KEY_ID, and the region")
	case isDenied(err):
		return step.Try(err, "ask for this permission, or use another AWS_PROFILE")
	case code == "" && strings.Contains(err.Error(), "no EC2 IMDS role found"), strings.Contains(err.Error(), "failed to retrieve credentials"),
		strings.Contains(err.Error(), "failed to refresh cached credentials"):
		return step.Try(err, "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case strings.Contains(err.Error(), "AssumeRoleTokenProvider"):
		return step.Try(err, "this profile asks for an MFA code, which nobody can type here: log in with aws sso login, or export the keys of a session")
	case strings.Contains(err.Error(), "no such host"):
		return step.Try(err, "check the region's name and the network")
	}
	return err
}

// isLogin tells whether credentials of single sign-on could not be had: nobody is logged in, or not any more.
func isLogin(err error) bool {
	text := err.Error()
	return strings.Contains(text, "SSO session") || strings.Contains(text, "SSO token") || strings.Contains(text, "sso session") ||
		(strings.Contains(text, "operation error SSO") && Code(err) == "UnauthorizedException")
}

func loginCommand(profile string) string {
	if profile == "" {
		profile = os.Getenv("AWS_PROFILE")
	}
	if profile == "" {
		return "aws sso login"
	}
	return "aws sso login --profile " + profile
}
