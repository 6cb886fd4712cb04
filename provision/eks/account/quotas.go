package account

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	quotatypes "github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
)

// Quota returns a service quota of the region by its code, as ("ec2", "L-1216C47A"): the account's own, or the one that all accounts begin with.
func (c *Cloud) Quota(ctx context.Context, service, code string) (float64, error) {
	var q *quotatypes.ServiceQuota
	own, err := c.quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &service, QuotaCode: &code})
	if err == nil {
		q = own.Quota
	} else if IsNotFound(err) {
		var all *servicequotas.GetAWSDefaultServiceQuotaOutput
		if all, err = c.quotas.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &service, QuotaCode: &code}); err == nil {
			q = all.Quota
		}
	}
	if err != nil {
		return 0, err
	}
	if q == nil || q.Value == nil {
		return 0, fmt.Errorf("Service Quotas gave no value for %s of %s", code, service)
	}
	return *q.Value, nil
}
