package awstest

import (
	"strings"
	"time"
)

// eksOperation names the operation of a REST call and what it is about.
func eksOperation(method, path string) (op, subject string) {
	p := strings.Split(strings.Trim(path, "/"), "/")
	at := func(i int) string {
		if i < len(p) {
			return p[i]
		}
		return ""
	}
	verb := map[string]string{"GET": "Describe", "POST": "Create", "DELETE": "Delete"}[method]
	switch {
	case at(0) == "cluster-versions":
		return "DescribeClusterVersions", ""
	case at(0) == "addons" && at(1) == "supported-versions":
		return "DescribeAddonVersions", ""
	case at(0) == "addons" && at(1) == "configuration-schemas":
		return "DescribeAddonConfiguration", ""
	case at(0) == "tags":
		return map[string]string{"GET": "ListTagsForResource", "POST": "TagResource", "DELETE": "UntagResource"}[method], strings.Join(p[1:], "/")
	case at(0) != "clusters":
		return method + " " + path, ""
	case len(p) == 1 && method == "GET":
		return "ListClusters", ""
	case len(p) == 2:
		return verb + "Cluster", at(1)
	case len(p) == 3 && method == "GET":
		return eksLists[at(2)], at(1)
	case at(2) == "node-groups":
		return verb + "Nodegroup", at(1) + "/" + at(3)
	case at(2) == "addons" && at(4) == "update":
		return "UpdateAddon", at(1) + "/" + at(3)
	case at(2) == "addons":
		return verb + "Addon", at(1) + "/" + at(3)
	}
	return method + " " + path, ""
}

// eksLists are the operations that list what a cluster has, by the part of the path.
var eksLists = map[string]string{
	"node-groups": "ListNodegroups", "addons": "ListAddons", "fargate-profiles": "ListFargateProfiles", "access-entries": "ListAccessEntries",
	"pod-identity-associations": "ListPodIdentityAssociations", "updates": "ListUpdates",
}

var eksOperations = map[string]operation{
	"DescribeClusterVersions": describeVersions,
	"ListClusters": func(s *Server, _ Call) (answer, error) {
		return jsonAnswer(map[string]any{"clusters": sortedKeys(s.acct.clusters)}), nil
	},
	"DescribeCluster": onCluster(func(s *Server, c Call, k *cluster) (any, error) { return map[string]any{"cluster": k.json()}, nil }),
	"DeleteCluster":   onCluster(deleteCluster),
	"ListNodegroups":  onCluster(listGroups),
	"ListAddons": onCluster(func(_ *Server, _ Call, k *cluster) (any, error) {
		return map[string]any{"addons": sortedKeys(k.addons)}, nil
	}),
	"ListFargateProfiles":         empty("fargateProfileNames"),
	"ListAccessEntries":           empty("accessEntries"),
	"ListPodIdentityAssociations": empty("associations"),
	"ListUpdates":                 empty("updateIds"),
	"DescribeNodegroup":           onGroup(func(s *Server, g *group) (any, error) { return map[string]any{"nodegroup": s.groupJSON(g)}, nil }),
	"DeleteNodegroup":             onGroup(deleteGroup),
	"DescribeAddon":               onAddon(func(_ *cluster, a *addon) any { return map[string]any{"addon": a.json()} }),
	"DeleteAddon": onAddon(func(k *cluster, a *addon) any {
		delete(k.addons, a.name)
		return map[string]any{"addon": a.json()}
	}),
	"CreateAddon":           onCluster(createAddon),
	"UpdateAddon":           onCluster(updateAddon),
	"DescribeAddonVersions": addonVersions,
	"DescribeAddonConfiguration": func(_ *Server, c Call) (answer, error) {
		return jsonAnswer(map[string]any{"podIdentityConfiguration": []any{}}), nil
	},
}

func describeVersions(s *Server, _ Call) (answer, error) {
	var list []any
	for i, v := range s.opts.Versions {
		until, ok := s.opts.StandardUntil[v]
		if !ok {
			until = time.Now().AddDate(1, 0, 0)
		}
		old, status := "standard-support", "STANDARD_SUPPORT"
		if until.Before(time.Now()) {
			old, status = "extended-support", "EXTENDED_SUPPORT"
		}
		list = append(list, map[string]any{
			"clusterVersion": v, "clusterType": "eks", "status": old, "versionStatus": status, "defaultVersion": i == 0,
			"endOfStandardSupportDate": float64(until.Unix()), "endOfExtendedSupportDate": float64(until.AddDate(1, 0, 0).Unix()),
		})
	}
	return jsonAnswer(map[string]any{"clusterVersions": list}), nil
}

func empty(key string) operation {
	return onCluster(func(*Server, Call, *cluster) (any, error) { return map[string]any{key: []any{}}, nil })
}

// onCluster hands the named cluster to f, or answers that there is none.
func onCluster(f func(*Server, Call, *cluster) (any, error)) operation {
	return func(s *Server, c Call) (answer, error) {
		name, _ := splitKey(c.Subject)
		k := s.acct.clusters[name]
		if k == nil {
			return answer{}, apiError(404, "ResourceNotFoundException", "No cluster found for name: %s.", name)
		}
		v, err := f(s, c, k)
		return jsonAnswer(v), err
	}
}

func onGroup(f func(*Server, *group) (any, error)) operation {
	return onCluster(func(s *Server, c Call, _ *cluster) (any, error) {
		g := s.acct.groups[c.Subject]
		if g == nil {
			return nil, apiError(404, "ResourceNotFoundException", "No node group found for name: %s.", c.Subject)
		}
		return f(s, g)
	})
}

func onAddon(f func(*cluster, *addon) any) operation {
	return onCluster(func(_ *Server, c Call, k *cluster) (any, error) {
		_, name := splitKey(c.Subject)
		a := k.addons[name]
		if a == nil {
			return nil, apiError(404, "ResourceNotFoundException", "No addon: %s found in cluster: %s", name, k.name)
		}
		return f(k, a), nil
	})
}

func splitKey(key string) (cluster, name string) {
	cluster, name, _ = strings.Cut(key, "/")
	return cluster, name
}

func listGroups(s *Server, _ Call, k *cluster) (any, error) {
	names := []string{}
	for _, key := range sortedKeys(s.acct.groups) {
		if g := s.acct.groups[key]; g.cluster == k.name {
			names = append(names, g.name)
		}
	}
	return map[string]any{"nodegroups": names}, nil
}

func deleteCluster(s *Server, c Call, k *cluster) (any, error) {
	shown := k.json()
	err := removeCluster(s, nil, &stackResource{physical: k.name})
	return map[string]any{"cluster": shown}, err
}

func deleteGroup(s *Server, g *group) (any, error) {
	shown := s.groupJSON(g)
	shown["status"] = "DELETING"
	s.dropGroup(g.cluster + "/" + g.name)
	s.start(func() { _ = s.opts.ControlPlane.Scale(s.ctx, GroupSpec{Cluster: g.cluster, Name: g.name}) })
	return map[string]any{"nodegroup": shown}, nil
}

func (a *addon) json() map[string]any {
	m := map[string]any{"addonName": a.name, "addonVersion": a.version, "status": "ACTIVE"}
	if a.role != "" {
		m["serviceAccountRoleArn"] = a.role
	}
	return m
}

func addonVersions(_ *Server, c Call) (answer, error) {
	name, version := c.get("addonName"), c.get("kubernetesVersion")
	return jsonAnswer(map[string]any{"addons": []any{map[string]any{
		"addonName": name, "type": "networking", "addonVersions": []any{map[string]any{
			"addonVersion": "v1.0.0-eksbuild.1", "requiresIamPermissions": name == "vpc-cni",
			"compatibilities": []any{map[string]any{"clusterVersion": version, "defaultVersion": true}},
		}},
	}}}), nil
}

func createAddon(_ *Server, c Call, k *cluster) (any, error) {
	a := &addon{name: c.text("addonName"), version: c.text("addonVersion"), role: c.text("serviceAccountRoleArn"), request: c.text("clientRequestToken")}
	if have := k.addons[a.name]; have != nil && have.request == a.request {
		return map[string]any{"addon": have.json()}, nil
	} else if have != nil {
		return nil, apiError(409, "ResourceInUseException", "Addon already exists.")
	}
	k.addons[a.name] = a
	return map[string]any{"addon": a.json()}, nil
}

func updateAddon(_ *Server, c Call, k *cluster) (any, error) {
	_, name := splitKey(c.Subject)
	a := k.addons[name]
	if a == nil {
		return nil, apiError(404, "ResourceNotFoundException", "No addon: %s found in cluster: %s", name, k.name)
	}
	a.role = c.text("serviceAccountRoleArn")
	return map[string]any{"update": map[string]any{"id": "update-1", "status": "Successful", "type": "AddonUpdate"}}, nil
}
