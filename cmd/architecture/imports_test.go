package architecture

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/compspec/ocifit-lab/"

// doors are the packages that alone may import something heavy, by import-path prefix.
var doors = map[string][]string{
	"k8s.io/kubernetes/":                      {"provision/sim"},
	"go.etcd.io/etcd/server/":                 {"provision/sim"},
	"sigs.k8s.io/kwok/":                       {"provision/sim"},
	"github.com/distribution/distribution/v3": {"provision/registry"},
	"github.com/weaveworks/eksctl":            {"provision/eks"},
	"github.com/aws/":                         {"provision/eks", "webhook/artifact"},
	"sigs.k8s.io/kind/":                       {"provision/kind"},
	"helm.sh/helm/v3/":                        {"provision/chart", "experiments/release", "webhook/deploy"},
	"github.com/spf13/cobra":                  {"cmd/cli", "cmd/serving", "cmd/ocifit-webhook"},
}

// closed lists, for a folder, prefixes of packages that nothing in it may import: the command line prints what others tell it.
var closed = map[string][]string{
	"cmd/cli":      {"k8s.io/api/", "k8s.io/apimachinery/", "k8s.io/client-go/", "sigs.k8s.io/controller-runtime"},
	"cmd/assembly": {"github.com/spf13/cobra", "github.com/spf13/pflag"},
}

// mustNot lists, for a folder, the folders of ours that nothing in it may import.
var mustNot = map[string][]string{
	"cmd/assembly":                 {"cmd/cli", "cmd/ui"},
	"cmd/supervisor":               {"cmd/cli", "cmd/ui", "cmd/assembly"},
	"cmd/serving":                  {"cmd/cli", "cmd/ui", "cmd/assembly", "addons", "provision", "experiments"},
	"cmd/ocifit-webhook":           {"cmd/cli", "cmd/ui", "cmd/assembly", "addons", "provision", "experiments", "webhook", "templates"},
	"webhook/":                     {"provision", "addons", "experiments", "templates", "cmd"},
	"templates":                    {"provision", "addons", "experiments", "webhook", "cmd"},
	"provision/":                   {"addons", "experiments", "cmd"},
	"provision/sim":                {"webhook"},
	"addons":                       {"experiments", "cmd", "provision/sim", "provision/eks", "provision/kind"},
	"experiments/":                 {"addons", "cmd", "provision/sim", "provision/eks", "provision/kind"},
	"experiments/application":      {"webhook", "provision/kube", "provision/step", "provision/lab"},
	"experiments/application/hpcg": {"provision", "webhook"},
	"experiments/stats":            {"provision", "webhook", "templates"},
}

// TestImportsGoOneWay reads the imports of every package; without it the first shortcut would make a knot.
func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module)
		packages++
		for _, imported := range fields[1:] {
			checkDoor(t, from, imported)
			checkArrow(t, from, imported)
		}
	}
	if packages < 10 {
		t.Errorf("looked at %d packages only", packages)
	}
}

// TestTheWebhookAloneIsSmall keeps out of the small program what would make it large: client-go's clientset has the types of every API group.
func TestTheWebhookAloneIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/ocifit-webhook").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		linked := strings.TrimSpace(line)
		packages++
		for _, heavy := range []string{"k8s.io/client-go/kubernetes", "k8s.io/client-go/informers", "k8s.io/api/apps", "helm.sh/", "github.com/weaveworks/", "k8s.io/kubernetes/"} {
			if strings.HasPrefix(linked, heavy) {
				t.Errorf("it links %s", linked)
			}
		}
	}
	if packages < 100 {
		t.Errorf("looked at %d packages only", packages)
	}
}

func checkDoor(t *testing.T, from, imported string) {
	for _, prefix := range closed[from] {
		if strings.HasPrefix(imported, prefix) {
			t.Errorf("%s imports %s", from, imported)
		}
	}
	for heavy, allowed := range doors {
		if !strings.HasPrefix(imported, heavy) {
			continue
		}
		for _, a := range allowed {
			if from == a || strings.HasPrefix(from, a+"/") {
				return
			}
		}
		t.Errorf("%s imports %s, which only %s may", from, imported, strings.Join(allowed, ", "))
	}
}

func checkArrow(t *testing.T, from, imported string) {
	to, ours := strings.CutPrefix(imported, module)
	if !ours {
		return
	}
	for folder, forbidden := range mustNot {
		if !strings.HasPrefix(from+"/", folder) {
			continue
		}
		for _, f := range forbidden {
			if to == f || strings.HasPrefix(to, f+"/") {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}
