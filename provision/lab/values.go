package lab

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/compspec/ocifit-lab/templates"
)

// maxLabel is the length of a DNS label, and so of a namespace's and a node group's name.
const maxLabel = 63

// Namespaces that trials cannot run in: the webhook leaves them alone, or something that is installed owns them.
var takenNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "ocifit-system"}

var (
	tagPattern     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	versionPattern = regexp.MustCompile(`^1\.[0-9]{1,3}$`)
)

// validateValues finds what would be accepted here and refused by somebody else when the cluster is there already.
func (s *Spec) validateValues() []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !tagPattern.MatchString(s.Artifact.Tag) {
		bad("artifact.tag %q is no tag of a registry: use letters, digits, dots, dashes and underscores, at most 128, not a dot or dash first", s.Artifact.Tag)
	}
	if err := checkRepository(s.Artifact.Repository); err != nil {
		bad("artifact.repository %q: %w", s.Artifact.Repository, err)
	}
	for _, i := range s.images() {
		if err := checkImage(i.ref); err != nil {
			bad("%s %q: %w", i.field, i.ref, err)
		}
	}
	if v := s.KubernetesVersion; v != "" && !versionPattern.MatchString(v) {
		bad("kubernetesVersion %q: write a minor version in quotes, such as \"1.34\"", v)
	}
	if !regionPattern.MatchString(s.Region) {
		bad("region %q is no AWS region, such as us-east-1", s.Region)
	}
	if v := s.Sim.TimeScale; math.IsNaN(v) || math.IsInf(v, 0) {
		bad("sim.timeScale is %v; 1 is real time, 0 does not wait", v)
	}
	problems = append(problems, s.Experiment.validate()...)
	return append(problems, s.validateSkip()...)
}

// validateSkip wants types that exist: another word would skip nothing, and its type would be chosen.
func (s *Spec) validateSkip() []error {
	var problems []error
	known := s.InstanceTypes()
	for _, t := range templates.InstanceTypes() {
		known = append(known, t.Name)
	}
	for _, t := range s.Webhook.Skip {
		if !slices.Contains(known, t) {
			problems = append(problems, fmt.Errorf("webhook.skip: instance type %q is not in the catalogue%s", t, didYouMean(strings.TrimSpace(t), known)))
		}
	}
	return problems
}

func (e Experiment) validate() []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch n := e.Namespace; {
	case !dnsLabel.MatchString(n) || len(n) > maxLabel:
		bad("experiment.namespace %q: use at most %d lower-case letters, digits and dashes", n, maxLabel)
	case slices.Contains(takenNamespaces, n):
		bad("experiment.namespace %s is not for trials: the webhook does not look there; choose a name of its own, such as experiments", n)
	}
	switch r := e.Results; {
	case strings.TrimSpace(r) == "":
		bad("experiment.results is empty; name a folder, such as results")
	case r == "~" || strings.HasPrefix(r, "~/"):
		bad("experiment.results %q: ~ is a shell's word and would become a folder of that name; write the path in full", r)
	case strings.ContainsRune(r, 0):
		bad("experiment.results %q is no path", r)
	}
	if strings.TrimSpace(e.Study) == "" {
		bad("experiment.study is empty; name a study that ships (%s) or a file", strings.Join(templates.Studies(), ", "))
	}
	return problems
}

type namedImage struct{ field, ref string }

// images are all images that the spec names.
func (s *Spec) images() []namedImage {
	var list []namedImage
	for arch, ref := range s.Artifact.Images {
		list = append(list, namedImage{"artifact.images." + arch, ref})
	}
	for i, ref := range s.Kind.Images {
		list = append(list, namedImage{fmt.Sprintf("kind.images[%d]", i), ref})
	}
	for _, i := range []namedImage{{"kind.nodeImage", s.Kind.NodeImage}, {"kind.labImage", s.Kind.LabImage}, {"eks.webhookImage", s.EKS.WebhookImage}} {
		if i.ref != "" {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b namedImage) int { return strings.Compare(a.field, b.field) })
	return list
}

func checkImage(ref string) error {
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return fmt.Errorf("not an image, such as registry.example/repository:tag: %w", err)
	}
	return nil
}

// checkRepository wants a registry and a repository without a tag, or nothing.
func checkRepository(text string) error {
	if text == "" {
		return nil
	}
	named, err := reference.ParseNamed(text)
	if err != nil {
		return fmt.Errorf("not a repository, such as registry.example/you/compatibility: %w", err)
	}
	if !reference.IsNameOnly(named) {
		return errors.New("leave out the tag or digest; artifact.tag names the tag")
	}
	return nil
}
