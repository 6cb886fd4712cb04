package awstest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// provider is an IAM OpenID Connect provider.
type provider struct {
	arn, url string
	made     time.Time
	tags     map[string]string
}

var stsOperations = map[string]operation{
	"GetCallerIdentity": func(s *Server, _ Call) (answer, error) {
		return xmlAnswer(el("Arn", s.opts.Caller), el("UserId", "AIDATEST"), el("Account", Account)), nil
	},
}

var iamOperations = map[string]operation{
	"CreateOpenIDConnectProvider": createProvider,
	"GetOpenIDConnectProvider":    getProvider,
	"DeleteOpenIDConnectProvider": deleteProvider,
	"ListOpenIDConnectProviders":  listProviders,
	"ListOpenIDConnectProviderTags": func(s *Server, c Call) (answer, error) {
		p, err := s.provider(c)
		if err != nil {
			return answer{}, err
		}
		return xmlAnswer(tagNodes("Tags", "member", p.tags)), nil
	},
	"SimulatePrincipalPolicy": simulate,
	"ListRoles":               listRoles,
	"ListPolicies": func(s *Server, _ Call) (answer, error) {
		return xmlAnswer(el("IsTruncated", false), el("Policies", each("member", s.acct.all("AWS::IAM::ManagedPolicy"), func(t *resource) []node {
			return []node{el("PolicyName", t.id), el("Arn", t.attrs["Arn"]), el("Path", "/"), el("CreateDate", t.made)}
		}))), nil
	},
	"ListPolicyTags": func(s *Server, c Call) (answer, error) {
		for _, t := range s.acct.all("AWS::IAM::ManagedPolicy") {
			if t.attrs["Arn"] == c.get("PolicyArn") {
				return xmlAnswer(el("IsTruncated", false), tagNodes("Tags", "member", t.tags)), nil
			}
		}
		return answer{}, apiError(404, "NoSuchEntity", "Policy %s was not found.", c.get("PolicyArn"))
	},
	"ListInstanceProfiles": func(s *Server, _ Call) (answer, error) {
		return xmlAnswer(el("IsTruncated", false), el("InstanceProfiles", each("member", s.acct.all("AWS::IAM::InstanceProfile"), func(t *resource) []node {
			roles := []node{}
			for _, name := range t.texts("Roles") {
				roles = append(roles, el("member", el("Path", "/"), el("RoleName", name), el("RoleId", "AROA"+name), el("Arn", "arn:aws:iam::"+Account+":role/"+name),
					el("CreateDate", t.made)))
			}
			return []node{
				el("InstanceProfileName", t.id), el("InstanceProfileId", "AIPA"+t.id), el("Arn", "arn:aws:iam::"+Account+":instance-profile/"+t.id),
				el("Path", "/"), el("CreateDate", t.made), el("Roles", roles),
			}
		}))), nil
	},
	"RemoveRoleFromInstanceProfile": func(s *Server, c Call) (answer, error) {
		t := s.acct.get("AWS::IAM::InstanceProfile", c.get("InstanceProfileName"))
		if t == nil {
			return answer{}, apiError(404, "NoSuchEntity", "Instance Profile %s cannot be found.", c.get("InstanceProfileName"))
		}
		t.props["Roles"] = []string{}
		return answer{}, nil
	},
	"DeleteInstanceProfile": func(s *Server, c Call) (answer, error) {
		t := s.acct.get("AWS::IAM::InstanceProfile", c.get("InstanceProfileName"))
		if t == nil {
			return answer{}, apiError(404, "NoSuchEntity", "Instance Profile %s cannot be found.", c.get("InstanceProfileName"))
		}
		if len(t.texts("Roles")) > 0 {
			return answer{}, apiError(409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
		s.acct.drop(t)
		return answer{}, nil
	},
	"GetRole": getRole,
}

// providerARN is what IAM makes of an issuer's address: the port plays no part in it.
func providerARN(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return "arn:aws:iam::" + Account + ":oidc-provider/" + u.Hostname() + u.Path
}

func createProvider(s *Server, c Call) (answer, error) {
	p := &provider{made: time.Now(), arn: providerARN(c.get("Url")), url: c.get("Url"), tags: c.tags("Tags.member")}
	if s.acct.oidc[p.arn] != nil {
		return answer{}, apiError(409, "EntityAlreadyExists", "Provider with url %s already exists.", p.url)
	}
	if len(c.list("ThumbprintList.member")) == 0 {
		return answer{}, apiError(400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries and at least one.")
	}
	s.acct.oidc[p.arn] = p
	return xmlAnswer(el("OpenIDConnectProviderArn", p.arn), tagNodes("Tags", "member", p.tags)), nil
}

func (s *Server) provider(c Call) (*provider, error) {
	if p := s.acct.oidc[c.get("OpenIDConnectProviderArn")]; p != nil {
		return p, nil
	}
	return nil, apiError(404, "NoSuchEntity", "OpenIDConnect Provider not found for arn %s", c.get("OpenIDConnectProviderArn"))
}

func getProvider(s *Server, c Call) (answer, error) {
	p, err := s.provider(c)
	if err != nil {
		return answer{}, err
	}
	return xmlAnswer(el("Url", strings.TrimPrefix(p.url, "https://")), el("ClientIDList", el("member", "sts.amazonaws.com")),
		el("CreateDate", p.made), tagNodes("Tags", "member", p.tags)), nil
}

func deleteProvider(s *Server, c Call) (answer, error) {
	p, err := s.provider(c)
	if err != nil {
		return answer{}, err
	}
	delete(s.acct.oidc, p.arn)
	return answer{}, nil
}

func listProviders(s *Server, _ Call) (answer, error) {
	return xmlAnswer(el("OpenIDConnectProviderList", each("member", sortedKeys(s.acct.oidc), func(arn string) []node {
		return []node{el("Arn", arn)}
	}))), nil
}

func simulate(s *Server, c Call) (answer, error) {
	// The simulator wants the principal itself, with its path, not a session of it.
	source := c.get("PolicySourceArn")
	known := source == s.opts.Caller && !strings.Contains(source, ":assumed-role/")
	for _, arn := range s.opts.Roles {
		known = known || arn == source
	}
	if !known {
		return answer{}, apiError(404, "NoSuchEntity", "The entity %s cannot be found.", source)
	}
	return xmlAnswer(el("IsTruncated", false), el("EvaluationResults", each("member", c.list("ActionNames.member"), func(action string) []node {
		decision := "allowed"
		if slices.Contains(s.opts.Deny, action) {
			decision = "implicitDeny"
		}
		return []node{el("EvalActionName", action), el("EvalDecision", decision), el("EvalResourceName", "*")}
	}))), nil
}

func roleNodes(t *resource) []node {
	return []node{
		el("Path", "/"), el("RoleName", t.id), el("RoleId", "AROA"+t.id), el("Arn", t.attrs["Arn"]), el("CreateDate", t.made),
		tagNodes("Tags", "member", t.tags),
	}
}

func listRoles(s *Server, _ Call) (answer, error) {
	return xmlAnswer(el("IsTruncated", false), el("Roles", each("member", s.acct.all("AWS::IAM::Role"), roleNodes))), nil
}

func getRole(s *Server, c Call) (answer, error) {
	if arn := s.opts.Roles[c.get("RoleName")]; arn != "" {
		return xmlAnswer(el("Role", el("RoleName", c.get("RoleName")), el("RoleId", "AROA1"), el("Path", "/"), el("Arn", arn), el("CreateDate", time.Now()))), nil
	}
	if t := s.acct.get("AWS::IAM::Role", c.get("RoleName")); t != nil {
		return xmlAnswer(el("Role", roleNodes(t))), nil
	}
	return answer{}, apiError(404, "NoSuchEntity", "The role with name %s cannot be found.", c.get("RoleName"))
}
