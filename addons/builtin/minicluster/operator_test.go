package minicluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// differs are the fields, by pattern, that are not as flux-operator has them. The README gives the reasons.
var differs = []*regexp.Regexp{
	regexp.MustCompile(`^spec\.backoffLimit = (0|100)$`), // only with restartPolicy Never, see below
	regexp.MustCompile(`^spec\.template\.metadata\.labels\.flux-framework\.org/`),
	regexp.MustCompile(`^service\.spec\.publishNotReadyAddresses`),
	regexp.MustCompile(`configMap\.items\[broker\.toml\]`),
	// Filled in by the API server, or empty, which is the same as nothing.
	regexp.MustCompile(`^spec\.template\.metadata\.(name|namespace) = `),
	regexp.MustCompile(`\.(lifecycle|securityContext|resources) = \{\}$`),
	regexp.MustCompile(`configMap\.defaultMode = 420$`),
	regexp.MustCompile(`mountPath = "/flux_operator/?"$`),
}

// TestAsFluxOperator holds our objects against what flux-operator made, at the commit that the README names, for MiniClusters with the
// fields that the study's chart and ours write. testdata/operator-*.txt are its objects' fields, one a line, as the API server gave them.
func TestAsFluxOperator(t *testing.T) {
	for name, change := range map[string]func(spec map[string]any){
		"published": func(spec map[string]any) {
			spec["containers"].([]any)[0].(map[string]any)["securityContext"] = map[string]any{"privileged": false, "addCapabilities": []any{}}
		},
		"own": func(spec map[string]any) {
			spec["pod"] = map[string]any{"restartPolicy": "Never", "annotations": map[string]any{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := oneContainer("x", map[string]any{
				"image":     "ghcr.io/converged-computing/hpcg-matrix:zen4-O3",
				"volumes":   map[string]any{"shared-memory": map[string]any{"emptyDir": true, "emptyDirMedium": "memory"}},
				"resources": map[string]any{"limits": map[string]any{"nvidia.com/gpu": "0", "vpc.amazonaws.com/efa": "0"}},
			})
			u.SetName("trial")
			spec := u.Object["spec"].(map[string]any)
			spec["deadlineSeconds"], spec["flux"], spec["pod"] = int64(31500000), map[string]any{}, map[string]any{}
			change(spec)
			data, err := os.ReadFile(filepath.Join("testdata", "operator-"+name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			theirs, ours := strings.Split(strings.TrimSpace(string(data)), "\n"), fieldsOf(t, decoded(t, u))
			report(t, "flux-operator has, and we have not", theirs, ours)
			report(t, "we have, and flux-operator has not", ours, theirs)
			if never := name == "own"; never == slices.Contains(ours, "spec.backoffLimit = 100") {
				t.Errorf("retries of pods that ask for no restart: %v", ours)
			}
		})
	}
}

func report(t *testing.T, what string, a, b []string) {
	t.Helper()
	for _, line := range a {
		if !slices.Contains(b, line) && !slices.ContainsFunc(differs, func(r *regexp.Regexp) bool { return r.MatchString(line) }) {
			t.Errorf("%s: %s", what, line)
		}
	}
}

// fieldsOf lists the fields of what is made for a cluster, as the recorded files do.
func fieldsOf(t *testing.T, c *cluster) []string {
	t.Helper()
	job, err := c.job(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range job.Spec.Template.Spec.Containers {
		job.Spec.Template.Spec.Containers[i].Env = nil
	}
	service := c.service()
	out := map[string]string{}
	flatten(out, "spec", plain(t, job.Spec))
	flatten(out, "service.spec", plain(t, service.Spec))
	out["service.name"] = fmt.Sprintf("%q", service.Name)
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(out)) {
		lines = append(lines, path+" = "+out[path])
	}
	return lines
}

func plain(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// flatten names items of a list by their name or key, where they have one.
func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out[path] = "{}"
		}
		for k, item := range v {
			flatten(out, path+"."+k, item)
		}
	case []any:
		for i, item := range v {
			key := fmt.Sprint(i)
			if m, ok := item.(map[string]any); ok {
				for _, by := range []string{"key", "name"} {
					if name, ok := m[by].(string); ok {
						key = name
					}
				}
			}
			flatten(out, path+"["+key+"]", item)
		}
	default:
		data, _ := json.Marshal(v) // strings, numbers and booleans always encode
		out[path] = string(data)
	}
}
