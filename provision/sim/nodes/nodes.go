// Package nodes gives simulated nodes and their pods a life: readiness, phases, addresses and logs, as kubelets would.
//
// Ordinary pods run as soon as they are bound, and those of a Job are done at once. A pod with the annotation simulated.WorkloadAnnotation
// goes through its phases when simulated.PhaseAnnotation says so.
package nodes

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/template"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"

	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

// podRange gives simulated pods their addresses.
const podRange = "10.244.0.1/16"

//go:embed stages
var stageFiles embed.FS

// Options configure Start.
type Options struct {
	// Config reaches the API server, without client-side rate limits.
	Config *rest.Config
	// LogDir holds the container logs as <namespace>_<pod>/<container>.log; a file <container>.done beside it says that the log is complete.
	LogDir string
	// CA proves the log endpoint to the API server and the API server to the endpoint.
	CA *pki.Authority
	// ClientName is the common name of the only client that may read logs.
	ClientName string
	// Log receives the controllers' warnings; nil drops them.
	Log io.Writer
}

// Nodes is the running simulation of all kubelets.
type Nodes struct {
	kubelet *kubelet
}

// Start begins to manage every node with simulated.NodeLabel and the pods on them, until the context ends.
func Start(ctx context.Context, o Options) (*Nodes, error) {
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("client of the simulated kubelets: %w", err)
	}
	stages, err := loadStages()
	if err != nil {
		return nil, err
	}
	kubelet, err := startKubelet(ctx, client, o)
	if err != nil {
		return nil, err
	}
	if err := adopt(ctx, client, kubelet.port); err != nil {
		return nil, err
	}
	controller, err := controllers.NewController(controllers.Config{
		Clock:                        clock.RealClock{},
		TypedClient:                  client,
		ManageNodesWithLabelSelector: simulated.NodeLabel + "=true",
		CIDR:                         podRange,
		NodeIP:                       "127.0.0.1",
		NodePort:                     kubelet.port,
		LocalStages:                  stages,
		PodPlayStageParallelism:      4,
		NodePlayStageParallelism:     2,
		PodsOnNodeSyncParallelism:    2,
		ID:                           "ocifit-lab",
		FuncMap:                      template.FuncMap{"creating": creating, "running": running, "terminated": terminated},
	})
	if err != nil {
		return nil, fmt.Errorf("simulated kubelets: %w", err)
	}
	if err := controller.Start(log.NewContext(ctx, log.NewLogger(quiet{logOrDiscard(o.Log)}, log.LevelWarn))); err != nil {
		return nil, fmt.Errorf("start the simulated kubelets: %w", err)
	}
	return &Nodes{kubelet: kubelet}, nil
}

// adopt tells the API server where the logs of nodes are that an earlier process simulated. Their next heartbeat would, minutes later.
func adopt(ctx context.Context, client kubernetes.Interface, port int) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: simulated.NodeLabel + "=true"})
	if err != nil {
		return fmt.Errorf("nodes of an earlier simulation: %w", err)
	}
	patch := fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port)
	for _, n := range nodes.Items {
		if _, err := client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("log endpoint of node %s: %w", n.Name, err)
		}
	}
	return nil
}

// KubeletPort is the loopback port of the log endpoint.
func (n *Nodes) KubeletPort() int { return n.kubelet.port }

// Failed delivers the error of the log endpoint when it ends before its context.
func (n *Nodes) Failed() <-chan error { return n.kubelet.failed }

// loadStages reads the embedded stages, by the resource they are for.
func loadStages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	err := fs.WalkDir(stageFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(stageFiles, path)
		if err != nil {
			return err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(string(data)), 4096)
		for {
			var stage v1alpha1.Stage
			err := decoder.Decode(&stage)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			internal, err := internalversion.ConvertToInternalStage(&stage)
			if err != nil {
				return fmt.Errorf("%s: stage %s: %w", path, stage.Name, err)
			}
			stages[internal.Spec.ResourceRef] = append(stages[internal.Spec.ResourceRef], internal)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("stages of the simulated kubelets: %w", err)
	}
	return stages, nil
}

// quiet drops what is no fault: a pod that changed or went while its next stage was on its way gets a new stage, or needs none.
type quiet struct{ io.Writer }

func (q quiet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("not found")) || bytes.Contains(line, []byte("the object has been modified")) {
		return len(line), nil
	}
	return q.Writer.Write(line)
}
