# `make help` lists the targets: each target's line ends in the comment that it shows.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
# What run-nginx puts behind the cache; any --backend URL of the filler.
BACKEND ?= demo:

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: ## the gateway with its own store and the built-in demo site, on http://127.0.0.1:8080/
	$(GO) run ./gateway --backend demo:

.PHONY: run-nginx
run-nginx: build ## nginx, a cacheserver and a filler with the demo site, on http://127.0.0.1:8081/ (BACKEND=URL for another)
	./nginx/run-nginx.sh '$(BACKEND)'

.PHONY: build
build: ## the three programs into bin/
	$(GO) build -o bin/ ./cacheserver ./filler ./gateway

.PHONY: package
package: ## a Debian package for this machine's architecture (ARCHES="amd64 arm64" for others) into dist/
	GO='$(GO)' ./configs/package/deb.sh dist

.PHONY: release
release: ## archives of static binaries for linux amd64 and arm64, with SHA256SUMS, into dist/; reproducible
	GO='$(GO)' ./configs/package/release.sh dist

.PHONY: test
test: test-deps lint ## everything: linters, then all tests with the race detector against the real programs
	$(GO) test -run 'Alloc|Memory|Bench' ./... # left out under the race detector, which would count, and slow down, by itself
	PAGEGATE_TEST_NO_URING=1 $(GO) test ./cacheserver/server ./internal/loop # what io_uring serves elsewhere
	$(GO) test -race -timeout 14m ./...

.PHONY: test-deps
test-deps: ## install what the tests need from Debian (as root or through sudo), without starting any service
	./test/install-deps.sh

.PHONY: test-compose
test-compose: ## docker-compose.yml brought up on this machine's Docker engine, tried, and brought down (root or sudo; minutes)
	@docker info >/dev/null 2>&1 || { echo 'no Docker engine answers `docker info`: install or start one, or let this user reach it' >&2; exit 1; }
	./test/install-deps.sh compose
	$(GO) test -tags compose -count 1 -timeout 40m ./test/compose

.PHONY: test-memcached-suite
test-memcached-suite: build ## memcached's own tests, but the proxy's, against the cacheserver; SRC=DIR is memcached's source tree, unpacked and built
	./test/memcached-suite.sh '$(SRC)'

.PHONY: image
image: ## the container image pagegate:latest, with all three programs
	eval "$$(./configs/package/version.sh)"; \
	docker build --build-arg VERSION="$$VERSION" --build-arg COMMIT="$$COMMIT" --build-arg SOURCE_DATE_EPOCH="$$SOURCE_DATE_EPOCH" -t pagegate:latest .

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo 'not formatted (run gofmt -w):'; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags compose ./test/compose
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags compose ./test/compose

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 20s)
	./test/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: soak
soak: test-deps ## ten minutes of visitors at every door while the site and the cache server are killed and started again (FOR=1h for longer)
	$(GO) test -count=1 -timeout 0 -v ./test/soak -soak.for $(or $(FOR),10m) -soak.visitors 12

.PHONY: bench
bench: build test-deps ## the doors beside nginx, HAProxy and Varnish: CPU per request, latency; writes docs/benchmarks.md (eight minutes)
	$(GO) run ./test/bench pages --out docs

.PHONY: bench-cacheserver
bench-cacheserver: build ## the cacheserver beside memcached: CPU per operation, latency, memory (about four minutes)
	$(GO) run ./test/bench cacheserver

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf bin dist
