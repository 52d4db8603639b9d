# Homeward: `make help` lists what there is. CI calls the same targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
INPUT  ?=
WORKERS ?= 2
SOAK   ?= 100
# Every folder of npm packages; each is installed as its lock says when the lock changes.
NPM_LOCKS  := $(wildcard tests/node/*/package-lock.json)
NPM_STAMPS := $(NPM_LOCKS:package-lock.json=node_modules/.installed)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench openapi release-api reference docs words serve lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*?## "}; {printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP) $(NPM_STAMPS) ## install everything, hash-checked, into .venv and node_modules

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Homeward needs Python 3.11 or newer (found $$($(PYTHON) --version))"; echo "hint: make setup PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

%/node_modules/.installed: %/package-lock.json %/package.json | $(STAMP)
	$(BIN)/python -m tests.node.tools $*
	@touch $@

demo: $(STAMP) ## tell the whole story on a hub of its own (INPUT=path uses that file)
	@$(BIN)/python -m demo $(if $(INPUT),--input "$(INPUT)")

test: $(STAMP) $(NPM_STAMPS) ## run every test, fast ones first
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: soak
soak: $(STAMP) $(NPM_STAMPS) ## run the tests marked soak at length (SOAK=100: so many times as often)
	SOAK=$(SOAK) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m soak

check: $(STAMP) ## ruff, mypy strict, import contracts, generated files fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m exchange.hub.openapi --check
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m docs.words --check

bench: $(STAMP) $(NPM_STAMPS) ## print speed as ratios to floors measured in the same run
	$(BIN)/python -m bench

.PHONY: bench-growth
bench-growth: $(STAMP) ## print what becomes of the hub as it grows (minutes, and 10 GB of disk)
	$(BIN)/python -m bench.growth

openapi: $(STAMP) ## write openapi/exchange.yaml
	$(BIN)/python -m exchange.hub.openapi

release-api: $(STAMP) ## take today's description as the released one, which nothing may break
	{ echo '# The description of the last release; `make release-api` renews it. Nothing in it may be broken.'; tail -n +2 openapi/exchange.yaml; } > openapi/released.yaml

reference: tests/node/reference/node_modules/.installed ## copy the script of /reference and its licences from their npm package
	cp tests/node/reference/node_modules/redoc/bundles/redoc.standalone.js exchange/hub/reference/
	cd tests/node/reference/node_modules/redoc && { cat LICENSE; echo; echo '----- Software in the bundle, as its build names it -----'; echo; cat bundles/redoc.standalone.js.LICENSE.txt; } > $(CURDIR)/exchange/hub/reference/LICENSE.txt

docs: $(STAMP) ## write the generated pages of docs/
	$(BIN)/python -m docs.generate

words: $(STAMP) ## renew the translators' files from the source, and compile them
	$(BIN)/python -m docs.words

serve: $(STAMP) ## run a sandbox in ./var: a hub with invented agencies and data to develop against
	@$(BIN)/exchange-hub sandbox --dir var

lock: ## renew requirements.lock (maintainers; needs uv)
	uv lock --upgrade
	uv export --quiet --frozen --no-emit-project --all-extras --group dev --no-header --output-file requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .bench tests/node/*/node_modules .mypy_cache .ruff_cache .hypothesis .import_linter_cache
