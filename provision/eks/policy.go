package eks

import (
	"encoding/json"
	"fmt"
	"strings"
)

// PolicyOptions say for which lab a policy is. An empty Account stands for any, an empty Partition for aws.
type PolicyOptions struct {
	Name, Region       string
	Account, Partition string
	Registry           bool // the lab has repositories in the account's registry
}

func (o PolicyOptions) replacer() *strings.Replacer {
	account, partition := o.Account, o.Partition
	if account == "" {
		account = "*"
	}
	if partition == "" {
		partition = "aws"
	}
	return strings.NewReplacer("PARTITION", partition, "REGION", o.Region, "ACCOUNT", account, "NAME", o.Name, "REPOSITORY", strings.ToLower(o.Name))
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]any `json:",omitempty"`
}

// policyLimit is how long a managed policy may be without its white space: IAM and STS quotas.
const policyLimit = 6144

// Policies are the IAM policy documents that allow what the lab does in an account, and no more than AWS lets a policy narrow down: by name
// where names are known before, by tag where what exists has one. There are several because IAM limits the length of each; a person attaches
// them all.
func Policies(o PolicyOptions) ([]json.RawMessage, error) {
	if o.Name == "" || o.Region == "" {
		return nil, fmt.Errorf("a policy needs the lab's name and region, got %q and %q", o.Name, o.Region)
	}
	names := o.replacer()
	var docs []json.RawMessage
	var part []statement
	for _, n := range needs {
		if n.registry && !o.Registry {
			continue
		}
		s := n.statement(names)
		if doc, err := document(append(part, s)); err != nil {
			return nil, err
		} else if len(doc) > policyLimit && len(part) > 0 {
			full, err := document(part)
			if err != nil {
				return nil, err
			}
			docs, part = append(docs, full), nil
		}
		part = append(part, s)
	}
	last, err := document(part)
	return append(docs, last), err
}

func document(statements []statement) (json.RawMessage, error) {
	return json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", statements})
}

func (n need) statement(names *strings.Replacer) statement {
	s := statement{Sid: n.id, Effect: "Allow", Action: n.actions, Resource: names.Replace(n.pattern)}
	if n.pattern == "" {
		s.Resource = names.Replace(n.resource)
	}
	switch {
	case n.tag != "":
		value := n.value
		if value == "" {
			value = "NAME"
		}
		s.Condition = map[string]map[string]any{"StringEquals": {"aws:ResourceTag/" + names.Replace(n.tag): names.Replace(value)}}
	case n.services != nil:
		s.Condition = map[string]map[string]any{"StringEquals": {"iam:AWSServiceName": n.services}}
	}
	return s
}
