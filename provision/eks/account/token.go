package account

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// tokenLife is how long EKS takes a token for good.
const tokenLife = 14 * time.Minute

// Token makes a bearer token for the API server of a cluster: a request to STS, signed but not sent, that EKS sends to learn who asks.
func (c *Cloud) Token(ctx context.Context, cluster string) (token string, expires time.Time, err error) {
	now := time.Now()
	req, err := sts.NewPresignClient(c.sts).PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(s *sts.Options) {
			s.APIOptions = append(s.APIOptions, func(stack *middleware.Stack) error { return stack.Build.Add(tokenRequest(cluster), middleware.After) })
		})
	})
	if err != nil {
		return "", time.Time{}, Explain(fmt.Errorf("make a token for cluster %s: %w", cluster, err))
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(req.URL)), now.Add(tokenLife), nil
}

// tokenRequest signs the cluster's name and a short life into the request.
func tokenRequest(cluster string) middleware.BuildMiddleware {
	return middleware.BuildMiddlewareFunc("ClusterToken", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			r.Header.Set("X-K8s-Aws-Id", cluster)
			q, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				return middleware.BuildOutput{}, middleware.Metadata{}, err
			}
			q.Set("X-Amz-Expires", "60")
			r.URL.RawQuery = q.Encode()
		}
		return next.HandleBuild(ctx, in)
	})
}
