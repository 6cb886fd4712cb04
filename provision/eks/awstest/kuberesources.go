package awstest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/kubernetes/scheme"
)

// The resources that the built-in API server knows, by group and version.
var kubeGroups = []struct {
	version string
	kinds   [][3]string // resource, kind, "ns" when namespaced
}{
	{"v1", [][3]string{
		{"namespaces", "Namespace", ""},
		{"nodes", "Node", ""},
		{"pods", "Pod", "ns"},
		{"services", "Service", "ns"},
		{"serviceaccounts", "ServiceAccount", "ns"},
		{"configmaps", "ConfigMap", "ns"},
		{"secrets", "Secret", "ns"},
		{"persistentvolumeclaims", "PersistentVolumeClaim", "ns"},
	}},
	{"apps/v1", [][3]string{{"daemonsets", "DaemonSet", "ns"}, {"deployments", "Deployment", "ns"}}},
	{"policy/v1", [][3]string{{"poddisruptionbudgets", "PodDisruptionBudget", "ns"}}},
	{"networking.k8s.io/v1", [][3]string{{"ingresses", "Ingress", "ns"}}},
}

var verbs = []string{"get", "list", "watch", "create", "update", "delete"}

// discovery answers the paths that say what the server has.
func discovery(path string) (object, bool) {
	switch path {
	case "/version":
		return object{"major": "1", "minor": "34", "gitVersion": "v1.34.0-eks-test", "platform": "linux/amd64"}, true
	case "/readyz", "/livez", "/healthz":
		return object{"status": "ok"}, true
	case "/api":
		return object{"kind": "APIVersions", "versions": []string{"v1"}}, true
	case "/apis":
		groups := []any{}
		for _, g := range kubeGroups[1:] {
			name, version, _ := strings.Cut(g.version, "/")
			v := object{"groupVersion": g.version, "version": version}
			groups = append(groups, object{"name": name, "versions": []any{v}, "preferredVersion": v})
		}
		return object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}, true
	}
	for _, g := range kubeGroups {
		if path != prefix(g.version) {
			continue
		}
		list := []any{}
		for _, k := range g.kinds {
			list = append(list, object{"name": k[0], "singularName": "", "kind": k[1], "namespaced": k[2] == "ns", "verbs": verbs})
		}
		return object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": g.version, "resources": list}, true
	}
	return nil, false
}

func prefix(groupVersion string) string {
	if strings.Contains(groupVersion, "/") {
		return "/apis/" + groupVersion
	}
	return "/api/" + groupVersion
}

func apiVersion(path string) string {
	for _, g := range kubeGroups {
		if strings.HasPrefix(path, prefix(g.version)+"/") {
			return g.version
		}
	}
	return ""
}

// collectionOf gives the collection that a path is or is in, and the kind of its objects.
func collectionOf(path string) (collection, kind string, found bool) {
	v := apiVersion(path)
	if v == "" {
		return "", "", false
	}
	base := prefix(v)
	parts := strings.Split(strings.TrimPrefix(path, base+"/"), "/")
	at := 0
	if parts[0] == "namespaces" && len(parts) > 2 {
		at = 2
	}
	for _, g := range kubeGroups {
		for _, k := range g.kinds {
			if g.version == v && k[0] == parts[at] && len(parts) <= at+2 {
				return base + "/" + strings.Join(parts[:at+1], "/"), k[1], true
			}
		}
	}
	return "", "", false
}

func send(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func status(w http.ResponseWriter, code int, reason, message string) {
	send(w, code, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}

// read takes the object from a request, which typed clients send as protobuf.
func read(r *http.Request) (object, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(data), "k8s\x00") {
		typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
		if err != nil {
			return nil, err
		}
		typed.GetObjectKind().SetGroupVersionKind(*kind)
		if data, err = json.Marshal(typed); err != nil {
			return nil, err
		}
	}
	o := object{}
	return o, json.Unmarshal(data, &o)
}
