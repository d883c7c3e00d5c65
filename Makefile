# What to run, in the order of a day's work. CI runs .ci/run, which is check and test.

GO        ?= go
TOOL      := $(GO) tool -modfile=.ci/tools/go.mod
TESTFLAGS ?=
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The same source and version give the same bytes: no folder, no time, no build id is in them.
LDFLAGS   := -s -w -buildid= -X main.version=$(VERSION)
FUZZTIME  ?= 10s
# Packages side by side: their tests wait as much as they work.
SIDE      ?= 4

.PHONY: help fmt vet lint tidy check needs test test-long race fuzz bench build sbom build-pkcs11

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

fmt: ## format every Go file
	$(TOOL) gofumpt -w .

vet: ## go vet
	$(GO) vet ./...

lint: ## golangci-lint; the first run builds it, about a minute
	$(TOOL) golangci-lint run

tidy: ## fail if go.mod or go.sum are not tidy
	$(GO) mod tidy -diff

check: ## formatting, vet, lint, tidy; changes nothing
	@unformatted="$$($(TOOL) gofumpt -l .)"; \
	if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	$(MAKE) vet lint tidy

build-pkcs11: ## bin/tocsin-pkcs11, a signer for hardware security modules
	CGO_ENABLED=1 $(GO) build -tags pkcs11 -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/tocsin-pkcs11 ./cmd/tocsin

needs: ## install what tests call and this machine lacks
	@.ci/needs

test: needs ## every promise; under ten minutes
	.ci/in-memory $(GO) test -p $(SIDE) -timeout 15m $(TESTFLAGS) ./...

test-long: needs ## test and the storms besides: kills, failover, soak, millions
	TOCSIN_TEST_LONG=1 $(GO) test -timeout 2h $(TESTFLAGS) ./...

race: needs ## test under the race detector
	.ci/in-memory $(GO) test -race -timeout 30m $(TESTFLAGS) ./...

fuzz: ## every fuzz target in turn, FUZZTIME each; their seeds run in test
	@set -e; for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$(dirname $$file) $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$(dirname $$file)"; \
		done; \
	done

bench: ## Go benchmarks; for ratios to the machine's floor see tocsin bench
	$(GO) test -run '^$$' -bench . -benchmem $(TESTFLAGS) ./...

build: ## bin/tocsin, static and reproducible
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/tocsin ./cmd/tocsin

sbom: build ## bin/tocsin.cdx.json: what is in bin/tocsin (CycloneDX), reproducible as it is
	.ci/sbom bin/tocsin '$(VERSION)' > bin/tocsin.cdx.json.new
	mv bin/tocsin.cdx.json.new bin/tocsin.cdx.json
