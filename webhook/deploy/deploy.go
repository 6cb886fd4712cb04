// Package deploy renders what a cluster needs to run the webhook: plain manifests, or a Helm chart of the same
// templates.
package deploy

import (
	"bytes"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"
)

//go:embed chart
var chart embed.FS

// Flavors of a deployment.
const (
	FlavorOurs     = "ocifit-lab"
	FlavorUpstream = "upstream"
)

// Values are the settings of a deployment; the chart's values.yaml explains them.
type Values struct {
	Flavor                    string            `json:"flavor"`
	Image                     string            `json:"image"`
	ImagePullPolicy           string            `json:"imagePullPolicy"`
	ImagePullSecrets          []string          `json:"imagePullSecrets"`
	Replicas                  int               `json:"replicas"`
	Resources                 map[string]any    `json:"resources"`
	GoMemoryLimit             string            `json:"goMemoryLimit"`
	FailurePolicy             string            `json:"failurePolicy"`
	TimeoutSeconds            int               `json:"timeoutSeconds"`
	ExcludeNamespaces         []string          `json:"excludeNamespaces"`
	Skip                      []string          `json:"skip"`
	TieBreak                  string            `json:"tieBreak"`
	IdentityLabel             string            `json:"identityLabel"`
	FeaturesConfigMap         string            `json:"featuresConfigMap"`
	Seed                      uint64            `json:"seed"`
	ModelServerURL            string            `json:"modelServerURL"`
	Events                    bool              `json:"events"`
	RegistrySecret            string            `json:"registrySecret"`
	PlainHTTP                 []string          `json:"plainHTTP"`
	Mirrors                   []string          `json:"mirrors"`
	AllowRegistries           []string          `json:"allowRegistries"`
	Architectures             []string          `json:"architectures"`
	NodeSelector              map[string]string `json:"nodeSelector"`
	Tolerations               []map[string]any  `json:"tolerations"`
	ArtifactMaxStale          string            `json:"artifactMaxStale"`
	ServiceAccountAnnotations map[string]string `json:"serviceAccountAnnotations"`
	Certificates              Certificates      `json:"certificates"`
	NetworkPolicy             NetworkPolicy     `json:"networkPolicy"`
	Upstream                  Upstream          `json:"upstream"`
}

// Certificates say where the server's certificate comes from.
type Certificates struct {
	Source   string `json:"source"`
	Secret   string `json:"secret"`
	CABundle string `json:"caBundle"`
}

// NetworkPolicy limits the webhook's network.
type NetworkPolicy struct {
	Enabled     bool  `json:"enabled"`
	EgressPorts []int `json:"egressPorts"`
}

// Upstream names the published images.
type Upstream struct {
	Image            string `json:"image"`
	ModelServerImage string `json:"modelServerImage"`
	// IdentityLabel and TimeoutSeconds stand for the chart's values of these names.
	IdentityLabel  string `json:"identityLabel"`
	TimeoutSeconds int64  `json:"timeoutSeconds"`
}

// Defaults are the values of the chart's values.yaml.
func Defaults() (Values, error) {
	data, err := chart.ReadFile("chart/values.yaml")
	if err != nil {
		return Values{}, err
	}
	return readValues(data)
}

// readValues reads values strictly, on top of nothing.
func readValues(data []byte) (Values, error) {
	var v Values
	if err := yaml.UnmarshalStrict(data, &v); err != nil {
		return v, fmt.Errorf("values of the deployment: %w", err)
	}
	return v, nil
}

var (
	dnsName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	memoryLimit = regexp.MustCompile(`^[1-9][0-9]*[MG]iB$`)
	plainRef    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$`)
)

// Validate says what is wrong with the values. Texts that go into the templates as they are must be simple ones.
func (v Values) Validate() error {
	var errs *multierror.Error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = multierror.Append(errs, fmt.Errorf(format, args...))
		}
	}
	check(v.Flavor == FlavorOurs || v.Flavor == FlavorUpstream, "flavor is %q, must be %s or %s", v.Flavor, FlavorOurs, FlavorUpstream)
	check(v.FailurePolicy == "Fail" || v.FailurePolicy == "Ignore", "failurePolicy is %q, must be Fail or Ignore", v.FailurePolicy)
	check(v.TieBreak == "price" || v.TieBreak == "first", "tieBreak is %q, must be price or first", v.TieBreak)
	check(slices.Contains([]string{"Always", "IfNotPresent", "Never"}, v.ImagePullPolicy), "imagePullPolicy is %q", v.ImagePullPolicy)
	check(v.TimeoutSeconds >= 1 && v.TimeoutSeconds <= 30, "timeoutSeconds is %d, must be 1 to 30", v.TimeoutSeconds)
	check(v.Seed < 1<<53, "seed is %d, must be below 2^53: templates know no larger whole numbers", v.Seed)
	check(memoryLimit.MatchString(v.GoMemoryLimit), "goMemoryLimit is %q, must be a number with MiB or GiB", v.GoMemoryLimit)
	check(v.Replicas >= 1, "replicas is %d, must be at least 1", v.Replicas)
	for _, image := range []string{v.Image, v.Upstream.Image, v.Upstream.ModelServerImage} {
		check(plainRef.MatchString(image), "%q is not an image reference", image)
	}
	for _, name := range slices.Concat(v.ExcludeNamespaces, v.ImagePullSecrets, []string{v.Certificates.Secret}) {
		check(dnsName.MatchString(name), "%q is not a Kubernetes name", name)
	}
	for _, name := range []string{v.FeaturesConfigMap, v.RegistrySecret} {
		check(name == "" || dnsName.MatchString(name), "%q is not a Kubernetes name", name)
	}
	for _, r := range slices.Concat(v.PlainHTTP, v.Mirrors) {
		check(plainRef.MatchString(strings.ReplaceAll(r, "=", "")), "%q is not a registry", r)
	}
	for _, r := range v.AllowRegistries {
		check(r == "*" || plainRef.MatchString(strings.TrimPrefix(r, "*.")), "%q is not a registry", r)
	}
	for _, a := range v.Architectures {
		check(dnsName.MatchString(a), "%q is not an architecture", a)
	}
	_, err := time.ParseDuration(v.ArtifactMaxStale)
	check(err == nil, "artifactMaxStale is %q, must be a duration such as 1h", v.ArtifactMaxStale)
	if err := v.Certificates.validate(); err != nil {
		errs = multierror.Append(errs, err)
	}
	return errs.ErrorOrNil()
}

func (c Certificates) validate() error {
	switch c.Source {
	case "cert-manager":
		if c.CABundle != "" {
			return errors.New("certificates.caBundle is for source secret: cert-manager fills it in itself")
		}
		return nil
	case "secret":
		if _, err := base64.StdEncoding.DecodeString(c.CABundle); err != nil || c.CABundle == "" {
			return errors.New("certificates.caBundle must be the base64 of the CA's PEM when the certificate comes from a secret")
		}
		return nil
	}
	return fmt.Errorf("certificates.source is %q, must be cert-manager or secret", c.Source)
}

// Render returns the manifests as YAML documents, those of one file together, files in the order in which they can be
// applied. Helm's own engine renders them, so that an installation by Helm gets the same objects.
func Render(v Values, namespace string) ([]byte, error) {
	if !dnsName.MatchString(namespace) || namespace == "kube-system" {
		return nil, fmt.Errorf("namespace %q: give the webhook a namespace of its own", namespace)
	}
	files, err := Chart(v)
	if err != nil {
		return nil, err
	}
	rendered, err := render(files, namespace)
	if err != nil {
		return nil, fmt.Errorf("manifests of the webhook: %w", err)
	}
	var out bytes.Buffer
	for _, name := range []string{"rbac", "certificate", "service", "deployment", "upstream", "webhook"} {
		if text := strings.TrimSpace(rendered[path.Join(chartName, "templates", name+".yaml")]); text != "" {
			fmt.Fprintf(&out, "---\n%s\n", text)
		}
	}
	return out.Bytes(), nil
}

// chartName is the name in Chart.yaml.
const chartName = "ocifit-lab-webhook"

// render runs a chart's templates with its own values; a value that no one defined is an error.
func render(files map[string][]byte, namespace string) (map[string]string, error) {
	var list []*loader.BufferedFile
	for name, data := range files {
		list = append(list, &loader.BufferedFile{Name: name, Data: data})
	}
	c, err := loader.LoadFiles(list)
	if err != nil {
		return nil, err
	}
	values, err := chartutil.ToRenderValues(c, nil, chartutil.ReleaseOptions{Name: chartName, Namespace: namespace, IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(c, values)
}

// Chart returns the files of the Helm chart, by their path inside it. Its values.yaml has the given values where they
// differ from the defaults.
func Chart(v Values) (map[string][]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err := fs.WalkDir(chart, "chart", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := chart.ReadFile(name)
		files[strings.TrimPrefix(name, "chart/")] = data
		return err
	})
	if err != nil {
		return nil, err
	}
	defaults, err := Defaults()
	if err != nil {
		return nil, err
	}
	was, err := yaml.Marshal(defaults)
	if err != nil {
		return nil, err
	}
	now, err := yaml.Marshal(v)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(was, now) {
		files["values.yaml"] = now
	}
	return files, nil
}

// With returns the values changed by those of a YAML file, which need not have all of them. Lists are replaced as a
// whole, maps key by key.
func (v Values) With(data []byte) (Values, error) {
	if err := yaml.UnmarshalStrict(data, &v); err != nil {
		return v, fmt.Errorf("values of the deployment: %w", err)
	}
	return v, nil
}
