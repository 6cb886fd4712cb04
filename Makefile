# Every target says what it does in the comment behind its name: make help.
SHELL := /bin/sh
BIN   := bin/ocifit-lab
# Repeats per arm in the demo; the study has 30.
TRIALS ?= 30

# The API server reports the version it is linked with.
K8S := $(shell sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod)
KV  := k8s.io/component-base/version
LDFLAGS := -s -w -X github.com/compspec/ocifit-lab/cmd/cli.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev) \
  -X $(KV).gitVersion=$(K8S) -X $(KV).gitMajor=1 -X $(KV).gitMinor=$(word 2,$(subst ., ,$(K8S))) -X $(KV).gitTreeState=clean

# The webhook's image is made from this binary alone, so it has to be static. Build and tests take the same flags, so that
# Kubernetes is compiled once for both.
export CGO_ENABLED := 0
race: export CGO_ENABLED := 1

.PHONY: e2e-kind help build demo test vet race bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## compile bin/ocifit-lab
	go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/ocifit-lab

demo: build ## run the whole study on provider sim: up, experiment all, results, report, down
	@rm -rf bin/demo && mkdir -p bin/demo && cd bin/demo && \
	trap '../ocifit-lab down' EXIT && \
	../ocifit-lab up && \
	../ocifit-lab experiment all --repeats $(TRIALS) && \
	../ocifit-lab results show && \
	../ocifit-lab results report

test: ## run all tests
	go test ./...

vet: ## run go vet; the first time it reads all of Kubernetes, some minutes
	go vet ./...

race: ## run the tests of everything that does not link Kubernetes' server code under the race detector
	go test -race $$(go list ./... | grep -v -e /cmd/ -e /provision/sim -e /provision/eks -e /webhook/e2e -e '/addons$$')

e2e-kind: ## run the lab on a real kind cluster; says so when there is no Docker
	@.ci/e2e-kind

bench: build ## print times and memory: the lab on sim, the webhook against one that does nothing, EKS against its shortest chain
	@.ci/bench $(BIN)
	OCIFIT_LAB_BIN=$(CURDIR)/$(BIN) go test -run - -bench 'Admissions|Memory' -benchtime 1x ./webhook/serve
	go test -run - -bench . ./webhook/predict ./webhook/features ./webhook/admit ./webhook/patch ./experiments/application/hpcg
	go test -run - -bench Up -benchtime 1x ./provision/eks

clean: ## remove what make built
	rm -rf bin
