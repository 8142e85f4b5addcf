# Gatehouse. 'make help' lists what there is.

GO        ?= go
# Tools and real components are installed here, never into the repository.
CACHE     ?= $(or $(GATEHOUSE_CACHE),$(HOME)/.cache/gatehouse)
BIN       := $(CACHE)/bin
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X github.com/gatehouse-project/gatehouse/app.version=$(VERSION)
TESTFLAGS ?=
RACE      ?=

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(BIN)/golangci-lint-$(GOLANGCI_VERSION)

export CGO_ENABLED ?= 0

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/gatehouse
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/gatehouse ./cmd/gatehouse

.PHONY: demo
demo: build ## Run the whole product on a simulated estate; prints the dashboard's address
	./bin/gatehouse demo $(DEMOFLAGS)

.PHONY: test
test: ## Run all tests that need nothing but Go (RACE=1 for the race detector)
ifeq ($(RACE),1)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) ./...
else
	$(GO) test $(TESTFLAGS) ./...
endif

.PHONY: lint
lint: $(GOLANGCI) ## Check format, vet, linters and the direction of imports
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@mkdir -p $(BIN)
	GOFLAGS= GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(BIN)/golangci-lint $@

.PHONY: fmt
fmt: $(GOLANGCI) ## Format the code
	$(GOLANGCI) fmt ./...

.PHONY: fuzz
fuzz: ## Run every fuzz test for a while (FUZZTIME=30s each)
	@scripts/fuzz $(or $(FUZZTIME),30s)

.PHONY: bench
bench: ## Print the benchmarks beside the figures of peers
	@scripts/bench

.PHONY: integration
integration: build ## Run against real components: moto, AWS CLI, boto3, Kafka, kcat, Chromium, PostgreSQL, Kubernetes, Helm
	@scripts/integration

.PHONY: release
release: ## Build what is released into dist/, the same bytes wherever it is built
	@scripts/release

.PHONY: check
check: lint test ## What to run before a commit

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
