package eks

import (
	"context"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
)

// checkPermissions asks IAM's simulator. Policies of the organisation and of resources it does not know, so that its yes is no promise.
func (p *Provider) checkPermissions(ctx context.Context, c *account.Cloud, id account.Identity, r *provision.Report) {
	if strings.HasSuffix(id.ARN, ":root") {
		r.Add("permissions", provision.CheckOK, "", "the root user may do everything")
		return
	}
	names := PolicyOptions{Name: p.opts.Name, Region: p.opts.Region, Account: id.Account, Partition: id.Partition()}.replacer()
	principal := c.Principal(ctx, id)
	var sure, perhaps []string
	for _, n := range needs {
		if n.registry && !p.opts.Registry {
			continue
		}
		denied, err := c.Denied(ctx, principal, names.Replace(n.resource), n.actions)
		if err != nil {
			r.Add("permissions", provision.CheckUnknown, "see what is needed with `ocifit-lab eks policy`", "they cannot be simulated: %v", err)
			return
		}
		for _, d := range denied {
			switch {
			// An action may be allowed by tag, which the simulator does not know.
			case d.Sure && n.tag == "":
				sure = append(sure, d.Action)
			default:
				perhaps = append(perhaps, d.Action)
			}
		}
	}
	sure, perhaps = sorted(sure), sorted(perhaps)
	if len(sure) > 0 {
		r.Add("permissions", provision.CheckFailed, "ask for these permissions (`ocifit-lab eks policy` writes the document), or use another AWS_PROFILE", "%s may not: %s",
			principal, strings.Join(sure, ", "))
	}
	if len(perhaps) > 0 {
		r.Add("permissions", provision.CheckWarning, "", "%s may perhaps not, as that depends on what only the real request has: %s", principal, strings.Join(perhaps, ", "))
	}
	if len(sure)+len(perhaps) == 0 {
		r.Add("permissions", provision.CheckOK, "", "what up and down do is allowed")
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
