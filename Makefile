# Gatepost. `make help` lists the targets.

# Tools, pinned; run as `go run tool@version`, so that go.mod stays clean.
# golangci-lint brings gofumpt and staticcheck at fixed versions of their own.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOTESTSUM     = gotest.tools/gotestsum@v1.13.0
BENCHSTAT     = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# Modules below the main one: what only tests need and others should not build.
NESTED = gateway/internal/store/mongo/wiretest

# Set these on the command line: make demo ARGS="--listen 127.0.0.1:9000".
ARGS         =
FUZZTIME     = 30s
FAULT_ROUNDS = 20
BENCH        = .
COUNT        = 6
BENCH_OLD    = bin/bench.old.txt
# The programs that compare the proxy with nginx and Caddy, and the token endpoint with npm oidc-provider.
BENCH_PROXY  = ./gateway/internal/proxy/bench
BENCH_OPENID = ./gateway/internal/openid/bench

# The race detector needs a C compiler.
CC_FOUND := $(shell command -v "$$(go env CC)" 2>/dev/null)
RACE     := $(if $(CC_FOUND),-race)

SHELL       = bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.PHONY: demo build test lint fmt vuln verify fuzz fault bench help

demo: build ## run Gatepost with known users and a demo app, on loopback (ARGS="--listen ... --data ...")
	exec bin/gatepost demo $(ARGS)

build: ## build the program: bin/gatepost
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/gatepost ./gateway/cmd/gatepost

test: ## vet, every test with the race detector in random order, coverage, and what was skipped
	@mkdir -p bin
	@$(if $(RACE),:,echo "No C compiler ($$(go env CC)): testing WITHOUT the race detector.")
	go vet ./...
	go run $(GOTESTSUM) --format pkgname --format-hide-empty-pkg -- \
		$(RACE) -shuffle=on -timeout 15m -coverprofile=bin/cover.out ./...
	@go tool cover -func=bin/cover.out | awk 'END { print "Coverage of statements: " $$NF " (go tool cover -html=bin/cover.out)" }'
	@for dir in $(wildcard $(NESTED)); do \
		echo "Module $$dir:"; \
		(cd $$dir && go run $(GOTESTSUM) --format pkgname --format-hide-empty-pkg -- -shuffle=on -timeout 15m ./...); \
	done

lint: ## golangci-lint with gofumpt and staticcheck, as .golangci.yml says
	go run $(GOLANGCI_LINT) run ./...

fmt: ## format the code the way lint wants it
	go run $(GOLANGCI_LINT) fmt ./...

vuln: ## known vulnerabilities in what the program calls (needs the network)
	go run $(GOVULNCHECK) ./...

verify: ## tidy modules, regenerate; fail when that changes a file or anything is not committed
	@for dir in . $(wildcard $(NESTED)); do echo "go mod tidy -diff in $$dir"; (cd $$dir && go mod tidy -diff); done
	go generate ./...
	git diff --exit-code

fuzz: ## every fuzz target for FUZZTIME
	@grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' . | xargs -rn1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go | cut -d' ' -f2); do \
			echo "$$dir $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir"; \
		done; \
	done

fault: ## long fault runs (crashes, kill -9, lies of a backend), FAULT_ROUNDS of each
	@dirs=$$(grep -rlE --include='*_test.go' 'GATEPOST_FAULT_ROUNDS' $(wildcard authctx gateway plugins scripts) | xargs -rn1 dirname | sort -u | sed 's|^|./|'); \
	[ -z "$$dirs" ] || GATEPOST_FAULT_ROUNDS=$(FAULT_ROUNDS) go test $(RACE) -count=1 -timeout 60m -v $$dirs

bench: ## Go benchmarks, compared with BENCH_OLD if it is there; the proxy beside nginx and Caddy, tokens beside oidc-provider
	@mkdir -p bin
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count=$(COUNT) ./... | tee bin/bench.txt
	@if [ -f $(BENCH_OLD) ]; then go run $(BENCHSTAT) $(BENCH_OLD) bin/bench.txt; \
	else go run $(BENCHSTAT) bin/bench.txt; echo "To compare later: cp bin/bench.txt $(BENCH_OLD)"; fi
	$(MAKE) build
	go run $(BENCH_PROXY) -gatepost bin/gatepost
	go run $(BENCH_OPENID) -gatepost bin/gatepost

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
