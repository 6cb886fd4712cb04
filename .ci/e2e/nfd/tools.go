//go:build tools

// Package nfd pins the node-feature-discovery that the kind test builds and runs. It has a module of its own, so that the program
// does not depend on it.
package nfd

import (
	_ "sigs.k8s.io/node-feature-discovery/cmd/nfd-gc"
	_ "sigs.k8s.io/node-feature-discovery/cmd/nfd-master"
	_ "sigs.k8s.io/node-feature-discovery/cmd/nfd-worker"
)
