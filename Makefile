# Everything a developer types. CI runs `make test`.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.buildVersion=$(VERSION)
PLUGINS := $(notdir $(wildcard plugins/*))
GO      ?= go

.PHONY: build serve test lint generate check-generated unit integration soak bench clean

build: ## bin/bridge and bin/plugins/bridge-plugin-*
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/bridge ./cmd/bridge
	@mkdir -p bin/plugins
	@for plugin in $(PLUGINS); do \
		$(GO) build -trimpath -ldflags '-s -w' -o bin/plugins/bridge-plugin-$$plugin ./plugins/$$plugin || exit 1; \
	done
	@chmod go-w bin/plugins bin/plugins/* # else the bridge refuses to execute them

serve: build ## run the shipped conf.d
	bin/bridge serve

test: lint check-generated unit integration ## everything CI checks

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go' | xargs -r ls 2>/dev/null)); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) -C tools build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...

generate: ## the protobuf code, and the documents made of the code
	cd tools && $(GO) run ./protogen ../core/wire/bridgev1/bridge.proto

check-generated: ## what is generated must be up to date
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- core/wire/bridgev1 || { echo "generated files were out of date: commit the result of make generate"; exit 1; }

unit: ## Go tests under the race detector
	$(GO) test -race -timeout 10m ./...

integration: build integration/node/node_modules ## the program with the protocols' own clients
	$(GO) test -tags integration -timeout 10m ./integration/...

soak: ## the tests that take minutes, at their full length
	WAMP_PUBLICATIONS=100000 $(GO) test -race -timeout 30m -run 'TestMix' ./adapters/wamp/router

integration/node/node_modules: integration/node/package.json integration/node/package-lock.json
	npm ci --prefix integration/node --no-audit --no-fund
	@touch $@

bench: build ## Go benchmarks, then the whole program beside its baselines
	$(GO) test -run '^$$' -bench . -benchmem ./core/... ./adapters/...
	$(GO) run ./integration/bench

clean:
	rm -rf bin integration/node/node_modules
