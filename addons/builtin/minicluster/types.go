package minicluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// GVR names the resource in a dynamic client; GVK is its kind.
var (
	GVR = schema.GroupVersionResource{Group: compat.FluxGroup, Version: compat.FluxVersion, Resource: compat.FluxResource}
	GVK = GVR.GroupVersion().WithKind("MiniCluster")
)

// cluster is a MiniCluster as far as the controller acts on it.
type cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              spec   `json:"spec"`
	Status            status `json:"status"`
}

type spec struct {
	Size                  int32             `json:"size"`
	MaxSize               int32             `json:"maxSize"`
	Tasks                 int32             `json:"tasks"`
	DeadlineSeconds       int64             `json:"deadlineSeconds"`
	BackoffLimit          int32             `json:"backoffLimit"`
	Interactive           bool              `json:"interactive"`
	Cleanup               bool              `json:"cleanup"`
	ShareProcessNamespace bool              `json:"shareProcessNamespace"`
	JobLabels             map[string]string `json:"jobLabels"`
	Logging               logging           `json:"logging"`
	Network               network           `json:"network"`
	Flux                  flux              `json:"flux"`
	Containers            []container       `json:"containers"`
	Pod                   pod               `json:"pod"`
}

type logging struct {
	Quiet  bool `json:"quiet"`
	Strict bool `json:"strict"`
	Debug  bool `json:"debug"`
	Timed  bool `json:"timed"`
	Zeromq bool `json:"zeromq"`
}

type network struct {
	HeadlessName    string `json:"headlessName"`
	DisableAffinity bool   `json:"disableAffinity"`
}

type flux struct {
	OptionFlags    string        `json:"optionFlags"`
	Wrap           string        `json:"wrap"`
	ConnectTimeout string        `json:"connectTimeout"`
	LogLevel       int32         `json:"logLevel"`
	Container      fluxContainer `json:"container"`
}

type fluxContainer struct {
	Disable         bool      `json:"disable"`
	Name            string    `json:"name"`
	Image           string    `json:"image"`
	WorkingDir      string    `json:"workingDir"`
	PullAlways      bool      `json:"pullAlways"`
	ImagePullSecret string    `json:"imagePullSecret"`
	MountPath       string    `json:"mountPath"`
	PythonPath      string    `json:"pythonPath"`
	Resources       resources `json:"resources"`

	SecurityContext corev1.SecurityContext `json:"securityContext"`
}

type container struct {
	Name             string               `json:"name"`
	Image            string               `json:"image"`
	Command          string               `json:"command"`
	WorkingDir       string               `json:"workingDir"`
	RunFlux          bool                 `json:"runFlux"`
	Launcher         bool                 `json:"launcher"`
	NoWrapEntrypoint bool                 `json:"noWrapEntrypoint"`
	PullAlways       bool                 `json:"pullAlways"`
	ImagePullPolicy  string               `json:"imagePullPolicy"`
	ImagePullSecret  string               `json:"imagePullSecret"`
	Ports            []int32              `json:"ports"`
	Environment      map[string]string    `json:"environment"`
	Secrets          map[string]secretKey `json:"secrets"`
	Resources        resources            `json:"resources"`
	SecurityContext  securityContext      `json:"securityContext"`
	Commands         commands             `json:"commands"`
	Volumes          map[string]volume    `json:"volumes"`
	LifeCycle        lifeCycle            `json:"lifeCycle"`
}

type lifeCycle struct {
	PostStartExec string `json:"postStartExec"`
	PreStopExec   string `json:"preStopExec"`
}

type secretKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type resources struct {
	Limits   map[string]intstr.IntOrString `json:"limits"`
	Requests map[string]intstr.IntOrString `json:"requests"`
}

// securityContext is Kubernetes' own, with the field that older definitions of the resource had instead of its capabilities.
type securityContext struct {
	corev1.SecurityContext `json:",inline"`
	AddCapabilities        []string `json:"addCapabilities"`
}

type commands struct {
	Init      string `json:"init"`
	Pre       string `json:"pre"`
	BrokerPre string `json:"brokerPre"`
	WorkerPre string `json:"workerPre"`
	Prefix    string `json:"prefix"`
	Post      string `json:"post"`
}

type volume struct {
	Path          string            `json:"path"`
	HostPath      string            `json:"hostPath"`
	ClaimName     string            `json:"claimName"`
	ConfigMapName string            `json:"configMapName"`
	SecretName    string            `json:"secretName"`
	EmptyDir      bool              `json:"emptyDir"`
	Items         map[string]string `json:"items"`
	ReadOnly      bool              `json:"readOnly"`

	EmptyDirMedium      string            `json:"emptyDirMedium"`
	EmptyDirSizeLimit   string            `json:"emptyDirSizeLimit"`
	CSIDriver           string            `json:"csiDriver"`
	CSIDriverAttributes map[string]string `json:"csiDriverAttributes"`
}

type pod struct {
	Labels                       map[string]string             `json:"labels"`
	Annotations                  map[string]string             `json:"annotations"`
	NodeSelector                 map[string]string             `json:"nodeSelector"`
	ServiceAccountName           string                        `json:"serviceAccountName"`
	AutomountServiceAccountToken *bool                         `json:"automountServiceAccountToken"`
	SchedulerName                string                        `json:"schedulerName"`
	RestartPolicy                string                        `json:"restartPolicy"`
	RuntimeClassName             *string                       `json:"runtimeClassName"`
	Resources                    map[string]intstr.IntOrString `json:"resources"`
	Tolerations                  []toleration                  `json:"tolerations"`
	NodeAffinity                 map[string][]string           `json:"nodeAffinity"`
	DNSPolicy                    string                        `json:"dnsPolicy"`
	HostIPC                      bool                          `json:"hostIPC"`
	HostPID                      bool                          `json:"hostPID"`
	SecurityContext              *corev1.PodSecurityContext    `json:"securityContext"`
}

type toleration struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
	Effect   string `json:"effect"`
}

type status struct {
	JobID       string             `json:"jobid"`
	Size        int32              `json:"size"`
	MaximumSize int32              `json:"maximumSize"`
	Selector    string             `json:"selector"`
	Conditions  []metav1.Condition `json:"conditions"`
}

// decode reads a MiniCluster as the API server gives it. ignored names the fields of the spec that this controller does
// not act on.
func decode(u *unstructured.Unstructured) (c *cluster, ignored []string, err error) {
	c = &cluster{}
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, c, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, e := range strict.Errors() {
			field := strings.Trim(strings.TrimPrefix(e.Error(), "unknown field "), `"`)
			if strings.HasPrefix(field, "spec.") {
				ignored = append(ignored, field)
			}
		}
		sort.Strings(ignored)
		err = nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("not a MiniCluster of %s: %w", GVK.GroupVersion(), err)
	}
	return c, ignored, c.complete()
}

// complete fills in what an older definition of the resource may have left open, and finds what cannot work.
func (c *cluster) complete() error {
	s := &c.Spec
	s.Size = max(s.Size, 1)
	orDefault(&s.Network.HeadlessName, c.Name)
	orDefault(&s.Flux.Container.Name, "flux-view")
	orDefault(&s.Flux.Container.Image, "ghcr.io/converged-computing/flux-view-ubuntu:tag-noble")
	orDefault(&s.Flux.Container.MountPath, "/mnt/flux")
	orDefault(&s.Flux.ConnectTimeout, "5s")
	orDefault(&s.Pod.RestartPolicy, string(corev1.RestartPolicyOnFailure))
	if s.MaxSize == 0 {
		s.MaxSize = s.Size
	}
	if s.MaxSize < s.Size {
		return fmt.Errorf("spec.maxSize is %d, less than spec.size %d", s.MaxSize, s.Size)
	}
	if len(s.Containers) == 1 {
		s.Containers[0].RunFlux = true
	}
	if err := c.checkVolumes(); err != nil {
		return err
	}
	return c.checkContainers()
}

// checkVolumes finds volumes that no pod could have.
func (c *cluster) checkVolumes() error {
	for i, ct := range c.Spec.Containers {
		for _, name := range slices.Sorted(maps.Keys(ct.Volumes)) {
			v, where := ct.Volumes[name], fmt.Sprintf("spec.containers[%d].volumes.%s", i, name)
			if _, err := resource.ParseQuantity(cmp.Or(v.EmptyDirSizeLimit, "0")); err != nil {
				return fmt.Errorf("%s.emptyDirSizeLimit: %q is no quantity", where, v.EmptyDirSizeLimit)
			}
			if v.kind() == "" {
				return fmt.Errorf("%s names no source; give one of emptyDir, csiDriver, secretName, configMapName, hostPath, claimName", where)
			}
			if v.kind() != kindEmptyDir && v.Path == "" {
				return fmt.Errorf("%s has no path", where)
			}
		}
	}
	return nil
}

func (c *cluster) checkContainers() error {
	runners := 0
	names := map[string]bool{c.Spec.Flux.Container.Name: !c.Spec.Flux.Container.Disable}
	for i := range c.Spec.Containers {
		ct := &c.Spec.Containers[i]
		if ct.RunFlux {
			runners++
			ct.Name = c.Name // whatever it is called in the spec, so that logs are found under the cluster's name
		}
		if ct.Name == "" {
			return fmt.Errorf("spec.containers[%d] needs a name, since it does not run Flux", i)
		}
		if names[ct.Name] {
			return fmt.Errorf("spec.containers[%d]: the name %q is taken", i, ct.Name)
		}
		names[ct.Name] = true
		if ct.Image == "" {
			return fmt.Errorf("spec.containers[%d] needs an image", i)
		}
		if ct.RunFlux && ct.Command == "" && !c.Spec.Interactive {
			return fmt.Errorf("spec.containers[%d] needs a command, or spec.interactive: true", i)
		}
	}
	if runners != 1 {
		return fmt.Errorf("%d containers have runFlux: true, exactly one must", runners)
	}
	return nil
}

func orDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
