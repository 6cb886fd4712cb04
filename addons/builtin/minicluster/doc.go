// Package minicluster serves the MiniCluster resource of flux-framework.org where flux-operator itself cannot be installed:
// its definition, and a controller that makes the objects which flux-operator makes.
package minicluster
