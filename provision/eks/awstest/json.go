package awstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

var ssmOperations = map[string]operation{
	"GetParameter": func(s *Server, c Call) (answer, error) {
		part := strings.Split(c.text("Name"), "/")
		if len(part) < 6 || !slices.Contains(s.opts.Versions, part[5]) {
			return answer{}, apiError(400, "ParameterNotFound", "Parameter %s not found.", c.text("Name"))
		}
		return jsonAnswer(map[string]any{"Parameter": map[string]any{"Name": c.text("Name"), "Value": "ami-00000000000000001"}}), nil
	},
}

var trailOperations = map[string]operation{
	"LookupEvents": func(*Server, Call) (answer, error) { return jsonAnswer(map[string]any{"Events": []any{}}), nil },
}

var pricingOperations = map[string]operation{"GetProducts": getProducts}

// getProducts answers one price list a type, each a JSON text, as the real service does.
func getProducts(_ *Server, c Call) (answer, error) {
	want := map[string]string{}
	list, _ := c.body["Filters"].([]any)
	for _, f := range list {
		m, _ := f.(map[string]any)
		want[fmt.Sprint(m["Field"])] = fmt.Sprint(m["Value"])
	}
	var out []string
	for _, m := range machines {
		if want["instanceType"] != "" && want["instanceType"] != m.name {
			continue
		}
		sku := strings.ToUpper(strings.ReplaceAll(m.name, ".", ""))
		data, err := json.Marshal(map[string]any{
			"product": map[string]any{"sku": sku, "attributes": map[string]any{"instanceType": m.name, "regionCode": want["regionCode"]}},
			"terms": map[string]any{"OnDemand": map[string]any{sku + ".JRTCKXETXF": map[string]any{
				"effectiveDate": "2026-01-01T00:00:00Z",
				"priceDimensions": map[string]any{sku + ".JRTCKXETXF.6YS6EN2CT7": map[string]any{
					"unit": "Hrs", "pricePerUnit": map[string]any{"USD": fmt.Sprintf("%.10f", Price(m.name))},
				}},
			}}},
		})
		if err != nil {
			return answer{}, err
		}
		out = append(out, string(data))
	}
	return jsonAnswer(map[string]any{"FormatVersion": "aws_v1", "PriceList": out}), nil
}

// quotas are usual values of an account that has been used before.
var quotas = map[string]float64{
	"L-1216C47A": 2048, // vCPUs of standard families
	"L-F7808C92": 1536, // vCPUs of hpc
	"L-DB2E81BA": 64,   // vCPUs of g and vt
	"L-1945791B": 64,   // vCPUs of inf
	"L-1194D53C": 100,  // EKS clusters
	"L-6D54EA21": 30,   // node groups of a cluster
	"L-F678F1CE": 5,    // VPCs
	"L-0263D0A3": 5,    // elastic addresses
}

func (s *Server) quota(code string) float64 {
	if v, ok := s.opts.Quotas[code]; ok {
		return v
	}
	return quotas[code]
}

var quotaOperations = map[string]operation{
	// An account's own value exists only where it was changed.
	"GetServiceQuota": func(s *Server, c Call) (answer, error) {
		if _, ok := s.opts.Quotas[c.text("QuotaCode")]; !ok {
			return answer{}, apiError(400, "NoSuchResourceException", "The request failed because the specified quota %s does not exist.", c.text("QuotaCode"))
		}
		return s.quotaAnswer(c), nil
	},
	"GetAWSDefaultServiceQuota": func(s *Server, c Call) (answer, error) {
		if _, ok := quotas[c.text("QuotaCode")]; !ok {
			return answer{}, apiError(400, "NoSuchResourceException", "The request failed because the specified quota %s does not exist.", c.text("QuotaCode"))
		}
		return s.quotaAnswer(c), nil
	},
}

func (s *Server) quotaAnswer(c Call) answer {
	code := c.text("QuotaCode")
	return jsonAnswer(map[string]any{"Quota": map[string]any{"ServiceCode": c.text("ServiceCode"), "QuotaCode": code, "Value": s.quota(code)}})
}

var logOperations = map[string]operation{
	"DescribeLogGroups": func(s *Server, c Call) (answer, error) {
		groups := []any{}
		for _, name := range sortedKeys(s.acct.logs) {
			if strings.HasPrefix(name, c.text("logGroupNamePrefix")) {
				groups = append(groups, map[string]any{"logGroupName": name, "arn": s.acct.arn("logs", "log-group:"+name), "creationTime": s.acct.logs[name].UnixMilli()})
			}
		}
		return jsonAnswer(map[string]any{"logGroups": groups}), nil
	},
	"DeleteLogGroup": func(s *Server, c Call) (answer, error) {
		name := c.text("logGroupName")
		if s.acct.logs[name].IsZero() {
			return answer{}, apiError(400, "ResourceNotFoundException", "The specified log group does not exist.")
		}
		delete(s.acct.logs, name)
		return jsonAnswer(map[string]any{}), nil
	},
	"PutRetentionPolicy": func(*Server, Call) (answer, error) { return jsonAnswer(map[string]any{}), nil },
}

// repository is one of ECR, with its content.
type repository struct {
	name      string
	tags      map[string]string
	blobs     map[string][]byte
	manifests map[string]manifest // by tag and by digest
	uploads   map[string][]byte
}

type manifest struct {
	mediaType string
	data      []byte
}

var ecrOperations = map[string]operation{
	"CreateRepository": func(s *Server, c Call) (answer, error) {
		name := c.text("repositoryName")
		if s.acct.repos[name] != nil {
			return answer{}, apiError(400, "RepositoryAlreadyExistsException", "The repository with name '%s' already exists in the registry", name)
		}
		r := &repository{name: name, tags: tagList(c.body["tags"]), blobs: map[string][]byte{}, manifests: map[string]manifest{}, uploads: map[string][]byte{}}
		s.acct.repos[name] = r
		return jsonAnswer(map[string]any{"repository": s.repoJSON(r)}), nil
	},
	"DescribeRepositories": func(s *Server, c Call) (answer, error) {
		list := []any{}
		for _, name := range texts(c.body["repositoryNames"]) {
			if s.acct.repos[name] == nil {
				return answer{}, apiError(400, "RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry", name)
			}
			list = append(list, s.repoJSON(s.acct.repos[name]))
		}
		if c.body["repositoryNames"] == nil {
			for _, name := range sortedKeys(s.acct.repos) {
				list = append(list, s.repoJSON(s.acct.repos[name]))
			}
		}
		return jsonAnswer(map[string]any{"repositories": list}), nil
	},
	"ListTagsForResource": func(s *Server, c Call) (answer, error) {
		arn := c.text("resourceArn")
		tags := []any{}
		if r := s.acct.repos[arn[strings.Index(arn, "/")+1:]]; r != nil {
			for _, k := range sortedKeys(r.tags) {
				tags = append(tags, map[string]any{"Key": k, "Value": r.tags[k]})
			}
		}
		return jsonAnswer(map[string]any{"tags": tags}), nil
	},
	"DeleteRepository": func(s *Server, c Call) (answer, error) {
		name := c.text("repositoryName")
		r := s.acct.repos[name]
		if r == nil {
			return answer{}, apiError(400, "RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry", name)
		}
		if len(r.manifests) > 0 && c.body["force"] != true {
			return answer{}, apiError(400, "RepositoryNotEmptyException", "The repository with name '%s' cannot be deleted because it still contains images", name)
		}
		delete(s.acct.repos, name)
		return jsonAnswer(map[string]any{"repository": s.repoJSON(r)}), nil
	},
	"GetAuthorizationToken": func(s *Server, _ Call) (answer, error) {
		return jsonAnswer(map[string]any{"authorizationData": []any{map[string]any{
			"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + RegistryPassword)), "expiresAt": 4102444800.0, "proxyEndpoint": s.URL,
		}}}), nil
	},
}

// RegistryPassword goes with the user AWS.
const RegistryPassword = "registry-password"

func (s *Server) repoJSON(r *repository) map[string]any {
	return map[string]any{
		"repositoryName": r.name, "repositoryArn": s.acct.arn("ecr", "repository/"+r.name),
		"repositoryUri": strings.TrimPrefix(s.URL, "http://") + "/" + r.name, "registryId": Account,
	}
}
