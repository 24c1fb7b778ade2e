# One word per job; `make` alone lists them. Needs Python 3.11 or newer, and nothing else.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test fuzz torture bench check audit sbom arm64 lock image argon2 clean

# The first Python that runs (a pyenv shim may stand on the PATH and not run), is new enough and can make a virtualenv.
usable := -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$python" $(usable) >/dev/null 2>&1 && echo "$$python" && break; done)

pip := .venv/bin/python -m pip --disable-pip-version-check --quiet
# Everything is pinned by hash, and nothing is built from source: a build would fetch tools that no hash pins. The one
# exception is deploy/build-argon2, whose tools have a lock.
install := $(pip) install --require-hashes --no-deps --only-binary :all:
compile = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

image-python = $(shell sed -n 's/^FROM python:\([0-9.]*\)-.* AS base$$/\1/p' Dockerfile)

help: ## Say what each word does
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: .venv/.runtime ## Set everything up and serve on http://127.0.0.1:8000
	.venv/bin/auth-service serve

coverage = $(if $(filter no,$(COVERAGE)),,--cov --cov-branch --cov-report=term-missing:skip-covered)
test: .venv/.dev ## Run the tests with branch coverage, JOBS=3 at a time; `make test ARGS="-k refresh"` runs some of them
	.venv/bin/python -m pytest -n $(or $(JOBS),3) --dist worksteal $(coverage) $(ARGS)

fuzz: .venv/.dev ## Fuzz routes and passkeys with other data than `make test` does, EXAMPLES=1000 of each kind
	FUZZ_EXAMPLES=$(or $(EXAMPLES),1000) .venv/bin/python -m pytest tests/fuzzing -n $(or $(JOBS),3) $(ARGS)

torture: .venv/.dev ## Break everything for SECONDS=600 with SEED=1 and check that no session ended by accident or outlived its end
	.venv/bin/python -m torture run --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1) $(ARGS)

bench: .venv/.dev ## Measure this service beside floors and peers, into README and docs/performance.md; QUICK=1 only tries it
	for part in compare second_factor passkeys start; do \
		.venv/bin/python -m bench.$$part $(if $(QUICK),--quick,--publish) || exit 1; done
	@echo 'Not measured here, because it takes long: bench.cleanup and bench.scale with ten million rows, bench.soak (an'
	@echo 'hour), bench.servers, bench.before FOLDER, and make torture. bench/README.md tells how.'

check: .venv/.dev ## Lint, formatting, types, import walls and the locks
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	bash -n .ci/run
	@echo 'locks: they satisfy pyproject.toml, without ecdsa, pyasn1 and rsa, and name no address'
	@! .venv/bin/python -m pip check | grep -vE '^python-jose [0-9.]+ requires (ecdsa|pyasn1|rsa), which is not installed'
	@! grep -nE '^(ecdsa|pyasn1|rsa)==|://' requirements*.lock

audit: .venv/.dev ## Look every pin of the locks up among the known vulnerabilities
	.venv/bin/python -m deploy.supply.audit $(ARGS)

sbom: .venv/.dev ## Write sbom.json, the image's bill of materials; DPKG_STATUS=FILE adds the Debian packages of the image
	.venv/bin/python -m deploy.supply.sbom $(if $(DPKG_STATUS),--dpkg-status $(DPKG_STATUS)) > sbom.json

arm64: .venv/.dev ## See that every pin has a wheel for arm64, of the Python that the image has
	@for lock in requirements*.lock; do .venv/bin/uv pip install --quiet --dry-run --target dist/arm64 \
		--python-platform aarch64-unknown-linux-gnu --python-version $(image-python) \
		--require-hashes --no-deps --only-binary :all: -r $$lock || exit 1; echo "arm64: every pin of $$lock can be had"; done

lock: .venv/.dev ## Recompile the locks; `make lock UPGRADE=--upgrade` moves the pins to today's versions
	.venv/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(compile) --no-annotate --output-file requirements-build.lock -
	$(compile) --no-annotate --output-file requirements-argon2.lock --group argon2 --constraint requirements-build.lock
	$(compile) --output-file requirements.lock --extra telemetry pyproject.toml
	$(compile) --output-file requirements-dev.lock --group dev \
		--constraint requirements-build.lock --constraint requirements.lock --extra telemetry pyproject.toml
	.venv/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["verifier"], sep="\n")' \
		| $(compile) --no-annotate --output-file requirements-verifier.lock --constraint requirements-dev.lock -

argon2: .venv/.runtime ## Build Argon2 for this machine's processor, if it is x86-64: a hash then takes about half the time
	PYTHON=.venv/bin/python deploy/build-argon2 .venv/lib/argon2

# Whose sources, and which: what the labels of the image say. SOURCE names another address, TAG another name.
SOURCE ?= $(shell git config --get remote.origin.url | sed 's,//[^/@]*@,//,')
image: ## Build the container image auth-service, labelled with version, revision, time and source
	docker build --tag $(or $(TAG),auth-service) \
		--build-arg VERSION=$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' auth_service/__init__.py) \
		--build-arg REVISION=$(shell git describe --always --dirty --abbrev=40 --exclude='*') \
		--build-arg CREATED=$(shell date -u +%Y-%m-%dT%H:%M:%SZ) \
		--build-arg SOURCE=$(SOURCE) .

clean: ## Remove the virtualenv, caches and build output (never a database)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist

.venv/.runtime: pyproject.toml requirements-build.lock requirements.lock
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" $(usable) >/dev/null 2>&1 || { echo >&2 \
		'This needs Python 3.11 or newer with its venv module (on Debian: apt-get install python3-venv).'; exit 1; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	$(install) -r requirements-build.lock -r requirements.lock
	$(pip) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	$(install) -r requirements-dev.lock
	@touch $@
