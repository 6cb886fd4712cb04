package awstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Call is one request as a service sees it.
type Call struct {
	Service   string // signing name: sts, ec2, eks, cloudformation, iam, ...
	Operation string // as AWS writes it: CreateStack, DescribeCluster, ...
	Subject   string // what it is about, where that is plain: the stack, cluster, node group or role named
	N         int    // 1 for the first call of the server

	method, path string
	form         url.Values     // of query protocols
	body         map[string]any // of JSON protocols
	raw          []byte
	key          string // access key it is signed with
}

// Mutates tells whether the call asks for a change.
func (c Call) Mutates() bool {
	for _, p := range []string{"Describe", "List", "Get", "Simulate", "Lookup"} {
		if strings.HasPrefix(c.Operation, p) {
			return false
		}
	}
	return true
}

var credential = regexp.MustCompile(`Credential=([^/]+)/[0-9]+/([^/]+)/([^/]+)/aws4_request`)

// parseCall reads a signed request. Presigned requests carry the same in their query.
func parseCall(r *http.Request) (Call, string, error) {
	c := Call{method: r.Method, path: r.URL.EscapedPath()}
	auth := r.Header.Get("Authorization")
	if auth == "" {
		auth = "Credential=" + r.URL.Query().Get("X-Amz-Credential")
	}
	m := credential.FindStringSubmatch(auth)
	if m == nil {
		return c, "", apiError(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	c.key, c.Service = m[1], m[3]
	raw, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return c, m[2], err
	}
	c.raw = raw
	switch {
	case c.Service == "eks":
		c.form = r.URL.Query()
		c.Operation, c.Subject = eksOperation(r.Method, r.URL.Path)
	case r.Header.Get("X-Amz-Target") != "":
		target := r.Header.Get("X-Amz-Target")
		c.Operation = target[strings.LastIndex(target, ".")+1:]
	default:
		c.form, err = url.ParseQuery(string(raw))
		if err == nil && c.form.Get("Action") == "" {
			c.form = r.URL.Query()
		}
		c.Operation = c.form.Get("Action")
	}
	if err == nil && len(raw) > 0 && (c.Service == "eks" || r.Header.Get("X-Amz-Target") != "") {
		dec := json.NewDecoder(bytes.NewReader(raw))
		err = dec.Decode(&c.body)
	}
	if c.Operation == "CreateAddon" {
		c.Subject += c.text("addonName")
	}
	if c.Subject == "" {
		c.Subject = c.subject()
	}
	if err != nil {
		err = apiError(400, "MalformedInput", err.Error())
	}
	return c, m[2], err
}

func (c Call) subject() string {
	for _, k := range []string{
		"StackName", "OpenIDConnectProviderArn", "Url", "LaunchTemplateId", "VolumeId", "GroupId",
		"NetworkInterfaceId", "LoadBalancerName", "LoadBalancerArn", "AutoScalingGroupName", "RoleName",
	} {
		if v := c.form.Get(k); v != "" {
			return v
		}
	}
	for _, k := range []string{"logGroupName", "repositoryName"} {
		if v, ok := c.body[k].(string); ok {
			return v
		}
	}
	return strings.Join(texts(c.body["repositoryNames"]), ",")
}

func (c Call) get(key string) string { return c.form.Get(key) }

// list returns form values key.1, key.2, ...
func (c Call) list(key string) []string {
	var out []string
	for i := 1; ; i++ {
		v, ok := c.form[key+"."+strconv.Itoa(i)]
		if !ok {
			return out
		}
		out = append(out, v[0])
	}
}

// filters returns the filters of an EC2 call, or of an Auto Scaling call.
func (c Call) filters() map[string][]string {
	out := map[string][]string{}
	for _, p := range []string{"Filter.", "Filters.member."} {
		for i := 1; ; i++ {
			at := p + strconv.Itoa(i)
			name := c.form.Get(at + ".Name")
			if name == "" {
				break
			}
			out[name] = append(c.list(at+".Value"), c.list(at+".Values.member")...)
		}
	}
	return out
}

// tags returns Tags.member.N.{Key,Value}.
func (c Call) tags(prefix string) map[string]string {
	out := map[string]string{}
	for i := 1; ; i++ {
		at := prefix + "." + strconv.Itoa(i)
		k, ok := c.form[at+".Key"]
		if !ok {
			return out
		}
		out[k[0]] = c.form.Get(at + ".Value")
	}
}

func (c Call) text(key string) string {
	v, _ := c.body[key].(string)
	return v
}
