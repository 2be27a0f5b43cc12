# `make` alone lists what there is.
PORT ?= 8000
ARGS ?=
QUICK ?=

# Newest first. To choose: make PYTHON_FOR_VENV=python3.12, with no .venv there yet.
PYTHON_FOR_VENV ?= python3.14 python3.13 python3.12 python3.11 python3 python

PYTHON := .venv/bin/python
GERMAN := checkout/locale/de/LC_MESSAGES/django
AXE := tests/browser/axe/node_modules/.installed
# mypy reads the settings; it connects to nothing.
LINT_SETTINGS := SECRET_KEY=lint DATABASE_URL=postgres://lint@127.0.0.1/lint
# With the tables of every gateway that has some.
LINT_SETTINGS += PAYMENT_GATEWAYS=stripe,bank_transfer
LINT_SETTINGS += BANK_TRANSFER_HOLDER=lint BANK_TRANSFER_IBAN=DE89370400440532013000

.PHONY: help demo test test-long newest-django soak drill guards bench screenshots words openapi lint watch lock clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

# Exported, not set in the command: so make starts no shell, which would keep signals to itself.
demo: export PORT := $(PORT)
demo: .venv/.installed ## A running shop on this machine (PORT=8000), until Ctrl-C
	@$(PYTHON) -m config.local.demo

# More at a time than cores: many of them wait for processes, pages and clocks.
test: .venv/.installed $(AXE) ## Every behaviour once, or some: make test ARGS="tests/orders -x"
	@$(PYTHON) -m pytest -n 4 -m "not long and not taken_out" $(ARGS)

test-long: .venv/.installed $(AXE) ## The same with more seeds, places, rounds and pages
	@$(PYTHON) -m pytest -n 4 -m long $(ARGS)

# The shop is pinned to the long-term release; what the next one will take away warns here already.
newest-django: .local/newest-django/.installed ## Tests on the newest Django, which needs Python 3.12: ARGS="tests/orders"
	@.local/newest-django/bin/python -m pytest -n 4 $(ARGS)

drill: .venv/.installed ## Break everything while people buy, then audit: make drill ARGS="--design all"
	@$(PYTHON) -m tests.tools.drill $(ARGS)

guards: .venv/.installed ## Take each guard out and see its test fail
	@$(PYTHON) -m tests.tools.guards $(ARGS)
	@$(if $(ARGS),:,$(PYTHON) -m pytest -n 2 -m taken_out tests/machine)

bench: .local/bench-venv/.installed ## Speed beside its limit and beside others: make bench QUICK=1 takes ten minutes
	@.local/bench-venv/bin/python -m tests.tools.bench $(if $(QUICK),--quick) $(ARGS)

screenshots: .venv/.installed ## Every page, desktop and phone, light and dark, in .local/screenshots
	@$(PYTHON) -m tests.browser.screenshots

words: export SECRET_KEY := words
words: export DATABASE_URL := postgres://words@127.0.0.1/words
words: export SANDBOX_GATEWAY_ALLOWED := true
words: .venv/.installed ## Collect what shoppers read into the German catalogue, and compile it
	@$(PYTHON) manage.py makemessages -v0 -l de --no-location --no-obsolete -i .venv -i tests
	@.venv/bin/pybabel -q compile -l de -i $(GERMAN).po -o $(GERMAN).mo

openapi: .venv/.installed ## Write docs/openapi.yaml from the code
	@$(LINT_SETTINGS) SANDBOX_GATEWAY_ALLOWED=true \
		$(PYTHON) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

soak: export SOAK ?= 5000
soak: export TOTAL_SEQUENCES ?= 20000
soak: .venv/.installed ## The state machine ten times as long, and 20,000 sequences of totals
	@$(PYTHON) -m pytest -n auto --maxprocesses 4 -m long tests/machine/test_state_machine.py tests/totals $(ARGS)

lint: .venv/.installed ## Style, format, types and the CloudFormation templates
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(LINT_SETTINGS) .venv/bin/mypy manage.py config checkout payments tests .ci/*.py
	@.venv/bin/cfn-lint deploy/cloudformation/*.yaml

watch: .venv/.installed ## Known vulnerabilities of dependencies, and secrets in the history
	@$(PYTHON) .ci/audit_dependencies.py
	@$(PYTHON) .ci/scan_secrets.py

lock: .venv/.installed ## Pin the newest dependencies that pyproject.toml allows
	@.venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@.venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra tracing pyproject.toml -o requirements-tracing.lock
	@.venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --group dev pyproject.toml -o requirements-dev.lock
	@cp requirements-dev.lock requirements-bench.lock
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --group bench pyproject.toml -o requirements-bench.lock

clean: ## Remove the environment, the demo's data and every cache
	rm -rf $$(readlink .local/*.elsewhere .local/*/*.elsewhere)
	rm -rf tests/browser/axe/node_modules
	rm -rf .venv .local .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For one test, which is skipped where there is no npm.
$(AXE): tests/browser/axe/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --silent --prefix $(<D) && touch $@; \
	else \
		echo "There is no npm here: the pages are not checked for accessibility."; \
	fi

# What `make bench` compares with is heavy, and is no dependency of anything else.
.local/bench-venv/.installed: requirements-bench.lock .venv/.installed
	@echo "Installing what is compared with into .local/bench-venv, once; this takes minutes."
	@$(PYTHON) -m venv --clear .local/bench-venv
	@.local/bench-venv/bin/python -m pip install -qq --disable-pip-version-check --no-input \
		--require-hashes -r requirements-bench.lock && touch $@

.local/newest-django/.installed: requirements-dev.lock .venv/.installed
	@$(PYTHON) -m venv --clear .local/newest-django
	@.local/newest-django/bin/python -m pip install -qq --disable-pip-version-check --no-input \
		--require-hashes -r requirements-dev.lock
	@.local/newest-django/bin/python -m pip install -qq --disable-pip-version-check --no-input \
		--upgrade 'django>=6.1' && touch $@

.venv/.installed: requirements-dev.lock
	@if [ -L .venv ]; then \
		echo ".venv is a link to an environment elsewhere, which would be emptied. Remove the link, then try again." >&2; \
		exit 1; \
	fi
	@python= incomplete=; for name in $(PYTHON_FOR_VENV); do \
		"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || continue; \
		if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then python=$$name; break; fi; \
		incomplete="$$incomplete$$name cannot make environments, its venv package is missing. "; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and none was found that can make environments." >&2; \
		echo "$${incomplete}Install one with venv (on Debian python3 and python3-venv), then try again." >&2; \
		exit 1; \
	fi; \
	echo "Installing into .venv with $$("$$python" -V), once; this takes a minute or two."; \
	"$$python" -m venv --clear .venv && \
	$(PYTHON) -m pip install -qq --disable-pip-version-check --no-input \
		--require-hashes -r requirements-dev.lock && \
	touch $@
