package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// call asks a service of the JSON 1.1 protocol. host is the service's name in addresses, service its name in signatures.
func (c *Cloud) call(ctx context.Context, host, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = c.callOnce(ctx, host, service, target, body, out)
		if err == nil || try == attempts || !passing(err) {
			return err
		}
		select {
		case <-time.After(min(time.Duration(1<<try)*250*time.Millisecond, 20*time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passing tells whether trying again may help.
func passing(err error) bool {
	code := Code(err)
	return code == "" || strings.Contains(code, "Throttl") || strings.Contains(code, "TooManyRequests") || strings.HasPrefix(code, "5")
}

func (c *Cloud) callOnce(ctx context.Context, host, service, target string, body []byte, out any) error {
	endpoint := aws.ToString(c.config.BaseEndpoint)
	if endpoint == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(c.Region, "cn-") {
			suffix += ".cn"
		}
		endpoint = fmt.Sprintf("https://%s.%s.%s", host, c.Region, suffix)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	keys, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), service, c.Region, time.Now()); err != nil {
		return err
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(data, &e)
		code := e.Type[strings.LastIndex(e.Type, "#")+1:]
		if code == "" {
			code = resp.Status
		}
		return fmt.Errorf("%s: %w", target[strings.LastIndex(target, ".")+1:], &smithy.GenericAPIError{Code: code, Message: e.Message})
	}
	return json.Unmarshal(data, out)
}

// Quota returns a service quota of the region by its code, as ("ec2", "L-1216C47A"): the account's own, or the one that all accounts begin with.
func (c *Cloud) Quota(ctx context.Context, service, code string) (float64, error) {
	var out struct{ Quota struct{ Value float64 } }
	in := map[string]string{"ServiceCode": service, "QuotaCode": code}
	err := c.call(ctx, "servicequotas", "servicequotas", "ServiceQuotasV20190624.GetServiceQuota", in, &out)
	if Code(err) == "NoSuchResourceException" {
		err = c.call(ctx, "servicequotas", "servicequotas", "ServiceQuotasV20190624.GetAWSDefaultServiceQuota", in, &out)
	}
	return out.Quota.Value, err
}
