package awstest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

type object = map[string]any

// kubeAPI is an API server that keeps objects, lists them and lets them be watched: as much as eksctl asks of one.
type kubeAPI struct {
	http *http.Server
	done chan struct{}

	mu       sync.Mutex
	version  int
	objects  map[string]object // by path
	watchers map[chan event]string
}

type event struct {
	Type   string `json:"type"`
	Object object `json:"object"`
	path   string
}

// Start implements ControlPlane.
func (sec *secureServer) Start(_ context.Context, c ClusterSpec) (string, []byte, error) {
	ln, err := sec.listen()
	if err != nil {
		return "", nil, err
	}
	api := &kubeAPI{objects: map[string]object{}, watchers: map[chan event]string{}, done: make(chan struct{})}
	for _, ns := range []string{"default", "kube-system"} {
		api.put("/api/v1/namespaces/"+ns, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": ns}})
	}
	api.http = &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet}
	go api.http.Serve(ln)
	sec.mu.Lock()
	defer sec.mu.Unlock()
	sec.apis[c.Name] = api
	return "https://" + ln.Addr().String(), sec.caPEM, nil
}

// Stop implements ControlPlane.
func (sec *secureServer) Stop(_ context.Context, cluster string) error {
	sec.mu.Lock()
	defer sec.mu.Unlock()
	if api := sec.apis[cluster]; api != nil {
		api.close()
		delete(sec.apis, cluster)
	}
	return nil
}

// Scale implements ControlPlane.
func (sec *secureServer) Scale(_ context.Context, g GroupSpec) error {
	sec.mu.Lock()
	api := sec.apis[g.Cluster]
	sec.mu.Unlock()
	if api == nil {
		return nil
	}
	for _, o := range api.list("/api/v1/nodes", "alpha.eksctl.io/nodegroup-name="+g.Name) {
		name := meta(o)["name"].(string)
		if !slices.Contains(g.Nodes, name) {
			api.drop("/api/v1/nodes/" + name)
		}
	}
	for _, name := range g.Nodes {
		labels := object{compat.LabelInstanceType: g.InstanceType, "kubernetes.io/hostname": name}
		for k, v := range g.Labels {
			labels[k] = v
		}
		api.put("/api/v1/nodes/"+name, object{
			"apiVersion": "v1", "kind": "Node", "metadata": object{"name": name, "labels": labels},
			"status": object{"conditions": []any{object{"type": "Ready", "status": "True"}}},
		})
	}
	return nil
}

func (a *kubeAPI) close() {
	close(a.done)
	a.http.Close()
}

func meta(o object) object {
	m, _ := o["metadata"].(map[string]any)
	if m == nil {
		m = object{}
		o["metadata"] = m
	}
	return m
}

func (a *kubeAPI) put(path string, o object) object {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	m := meta(o)
	m["resourceVersion"] = strconv.Itoa(a.version)
	if m["uid"] == nil {
		m["uid"] = fmt.Sprintf("00000000-0000-0000-0000-%012x", a.version)
		m["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	}
	kind := "MODIFIED"
	if a.objects[path] == nil {
		kind = "ADDED"
	}
	a.objects[path] = o
	a.tell(event{kind, o, path})
	return o
}

func (a *kubeAPI) drop(path string) object {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.objects[path]
	if o != nil {
		delete(a.objects, path)
		a.tell(event{"DELETED", o, path})
	}
	return o
}

// tell hands an event to the watchers that want it; one that does not keep up loses it, as a real watch would end.
func (a *kubeAPI) tell(e event) {
	for ch, collection := range a.watchers {
		if within(e.path, collection) {
			select {
			case ch <- e:
			default:
			}
		}
	}
}

// within tells whether an object's path belongs to a collection, or to the collection over all namespaces.
func within(path, collection string) bool {
	parent, _ := cutLast(path)
	if parent == collection {
		return true
	}
	ns := strings.Index(parent, "/namespaces/")
	if ns < 0 {
		return false
	}
	rest := strings.SplitN(parent[ns+len("/namespaces/"):], "/", 2)
	return len(rest) == 2 && parent[:ns]+"/"+rest[1] == collection
}

func cutLast(path string) (string, string) {
	at := strings.LastIndex(path, "/")
	return path[:at], path[at+1:]
}

func (a *kubeAPI) list(collection, selector string) []object {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []object
	for _, path := range sortedKeys(a.objects) {
		if within(path, collection) && selects(selector, a.objects[path]) {
			out = append(out, a.objects[path])
		}
	}
	return out
}

func selects(selector string, o object) bool {
	labels, _ := meta(o)["labels"].(map[string]any)
	for _, term := range strings.Split(selector, ",") {
		key, want, equals := strings.Cut(term, "=")
		if key == "" {
			continue
		}
		if have, ok := labels[key]; !ok || (equals && fmt.Sprint(have) != strings.TrimPrefix(want, "=")) {
			return false
		}
	}
	return true
}
