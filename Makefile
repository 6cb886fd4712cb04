# Every target says what it does in the comment behind its name: make help.
SHELL := /bin/sh
BIN   := bin/ocifit-lab
# Repeats per arm in the demo; the study has 30.
TRIALS ?= 30

# The API server reports the version it is linked with.
K8S := $(shell sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod)
KV  := k8s.io/component-base/version
KUBE_LDFLAGS := -X $(KV).gitVersion=$(K8S) -X $(KV).gitMajor=1 -X $(KV).gitMinor=$(word 2,$(subst ., ,$(K8S))) -X $(KV).gitTreeState=clean
LDFLAGS := -s -w -X github.com/compspec/ocifit-lab/cmd/cli.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev) \
  $(KUBE_LDFLAGS)

# The webhook's image is made from this binary alone, so it has to be static. Build and tests take the same flags, so that
# Kubernetes is compiled once for both.
export CGO_ENABLED := 0
race: export CGO_ENABLED := 1

# Tools are run at these versions and are no part of the module.
GOLANGCI    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
BENCHSTAT   := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GORELEASER  := go run github.com/goreleaser/goreleaser/v2@v2.17.0

# What does not link Kubernetes' server code, and therefore builds and runs in a minute.
LIGHT = $$(go list ./... | grep -v -e /cmd/ -e /provision/sim -e /provision/eks -e /webhook/e2e -e '/addons$$')
# What is measured without a cluster.
PURE = ./webhook/predict ./webhook/features ./webhook/admit ./webhook/patch ./experiments/application/hpcg
# How long each fuzz target runs.
FUZZTIME ?= 20s

.PHONY: help build install demo test vet race cover fuzz lint fmt verify verify-pins vuln e2e-kind chaos bench bench-save bench-compare release-check release release-image clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## compile bin/ocifit-lab, and beside it the webhook alone, for images
	go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/ocifit-lab
	go build -ldflags '-s -w' -o bin/ocifit-webhook ./cmd/ocifit-webhook

install: ## compile and put ocifit-lab where go install puts programs
	go install -ldflags '$(LDFLAGS)' ./cmd/ocifit-lab
	go install -ldflags '-s -w' ./cmd/ocifit-webhook

demo: build ## run the whole study on provider sim: why procedure cannot tell, and what controlled tells
	@rm -rf bin/demo && mkdir -p bin/demo && cd bin/demo && \
	trap '../ocifit-lab down' EXIT && \
	../ocifit-lab up && \
	../ocifit-lab experiment all --repeats $(TRIALS) && \
	../ocifit-lab results report && \
	../ocifit-lab experiment all --study controlled --repeats $(TRIALS) && \
	../ocifit-lab results report --study controlled && \
	../ocifit-lab results show && \
	../ocifit-lab results show --study controlled

# The slowest package takes some minutes alone, and a machine may be busy.
test: ## run all tests
	go test -timeout 40m ./...

vet: ## run go vet; the first time it reads all of Kubernetes, some minutes
	go vet ./...

race: ## run the tests of everything that does not link Kubernetes' server code under the race detector
	go test -race -timeout 40m $(LIGHT)

cover: ## run the same packages with coverage; bin/cover.html shows the lines
	@mkdir -p bin
	go test -coverprofile=bin/cover.out $(LIGHT)
	go tool cover -html=bin/cover.out -o bin/cover.html
	@go tool cover -func=bin/cover.out | tail -n 1

fuzz: ## run every fuzz target for FUZZTIME (20s)
	@.ci/fuzz $(FUZZTIME)

lint: ## run golangci-lint; the first time it is compiled and reads all of Kubernetes, some minutes
	$(GOLANGCI) run ./...

fmt: ## format all Go files with gofumpt
	$(GOLANGCI) fmt ./...

verify: ## check formatting, go.mod, module checksums and generated references; changes nothing
	@failed=; \
	check() { echo "verify: $$1"; shift; "$$@" || failed=1; }; \
	check "formatting" $(GOLANGCI) fmt --diff ./...; \
	check "go.mod and go.sum are tidy" go mod tidy -diff; \
	check "downloaded modules are what go.sum says" go mod verify; \
	check "references of commands, lab.yaml, study and application files" go test -run Reference ./cmd/cli ./provision/lab ./experiments/study ./experiments/application/described; \
	[ -z "$$failed" ] || { echo "verify: failed; make fmt, go mod tidy or go test -update mend most of it"; exit 1; }

verify-pins: ## read every pinned chart and manifest again and print what differs from templates/versions.yaml; needs a network
	OCIFIT_VERIFY_PINS=1 go test -count=1 -v -run TestVerifyPins ./addons/component

vuln: ## look for known vulnerabilities in what is called; asks the Go vulnerability database
	$(GOVULNCHECK) ./...

release-check: ## check .goreleaser.yaml
	$(GORELEASER) check

release: ## build and publish a tagged release: archives, checksums, SBOMs; SNAPSHOT=1 only builds it into dist
	OCIFIT_LAB_LDFLAGS='$(KUBE_LDFLAGS)' $(GORELEASER) release --clean $(if $(SNAPSHOT),--snapshot --skip=sbom)

release-image: ## push the webhook's image for both architectures from dist to REFERENCE
	@test -n "$(REFERENCE)" || { echo "name the image: make release-image REFERENCE=registry/repository:tag"; exit 1; }
	dist/ocifit-lab_linux_amd64*/ocifit-lab webhook image --push $(REFERENCE) \
	  --binary dist/ocifit-webhook_linux_amd64*/ocifit-webhook --binary dist/ocifit-webhook_linux_arm64*/ocifit-webhook

e2e-kind: ## run the lab on a real kind cluster; says so when there is no Docker
	@.ci/e2e-kind

chaos: ## kill labs on sim CHAOS_KILLS (200) times at random and look whether anything is lost or left; some hours
	CHAOS_KILLS=$(or $(CHAOS_KILLS),200) go test -v -run TestChaos -timeout 0 ./cmd/cli

by-hand: ## the study's procedure by hand on sim, with kubectl and helm built from their modules; OCIFIT_PUBLISHED_CHART=FOLDER adds the study's chart
	@mkdir -p bin/by-hand && cp go.mod bin/by-hand/tools.mod && cp go.sum bin/by-hand/tools.sum
	go build -mod=mod -modfile=bin/by-hand/tools.mod -o bin/by-hand/ k8s.io/kubernetes/cmd/kubectl helm.sh/helm/v3/cmd/helm
	PATH="$(CURDIR)/bin/by-hand:$$PATH" go test -count=1 -v -run TestStories/byhand ./cmd/cli

bench: build ## print times and memory: the lab on sim, the webhook against one that does nothing, EKS against its shortest chain
	PATH="$(CURDIR)/bin/by-hand:$$PATH" $(BIN) bench
	OCIFIT_LAB_BIN=$(CURDIR)/$(BIN) go test -run - -bench 'Admissions|Memory' -benchtime 1x ./webhook/serve
	go test -run - -bench Coverage -benchtime 1x ./experiments/stats
	go test -run - -bench LargeRun -benchtime 1x ./experiments/report
	go test -run - -bench . $(PURE)
	go test -run - -bench Up -benchtime 1x ./provision/eks

bench-save: ## run the benchmarks that need no cluster six times each and write bin/bench.txt
	@mkdir -p bin
	go test -run - -bench . -benchmem -count 6 $(PURE) >bin/bench.txt || { cat bin/bench.txt; exit 1; }
	@cat bin/bench.txt

bench-compare: bench-save ## compare them with an earlier bench.txt: make bench-compare BASE=file
	@test -f "$(BASE)" || { echo "name the earlier figures: make bench-compare BASE=bench.txt of make bench-save"; exit 1; }
	$(BENCHSTAT) $(BASE) bin/bench.txt

clean: ## remove what make built
	rm -rf bin dist
