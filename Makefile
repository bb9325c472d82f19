# Every task of the project; plain `make` lists them. Only make and python3 are needed: bootstrap.py makes the rest.

PYTHON ?= python3
NOTEBOOK = $(sort $(wildcard notebooks/training/*.ipynb))
# an empty store gets these, so that the first answer is not long in coming; `make train` trains the others too
first := $(wildcard notebooks/training/cardio.ipynb notebooks/training/iris.ipynb)
PARAMS =
UPGRADE =
bin := .venv/bin

# Only what stands on make's command line is passed on: a HOST or PORT that the shell happens to export does no harm,
# and a LECTERN_… of the environment counts as it does without make.
define passed-on
ifeq ($$(origin $(1)),command line)
export $(2) := $$($(1))
endif
endef
$(eval $(call passed-on,HOST,LECTERN_HOST))
$(eval $(call passed-on,PORT,LECTERN_PORT))
$(eval $(call passed-on,WORKERS,LECTERN_WORKERS))
$(eval $(call passed-on,MODEL,LECTERN_DEFAULT_MODEL))
$(eval $(call passed-on,STORE,LECTERN_STORE))
store = $(or $(LECTERN_STORE),artifacts)

.PHONY: help setup new lab train sweep serve test lint types unit browser screenshots soak fuzz coverage mutation unit-torch unit-postgres unit-redis check-prometheus check-nginx tutorials-check tutorials format hooks bench bench-short bench-training lock known-types clean
.NOTPARALLEL:

help: ## this list
	@awk '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.* ## / {name = $$0; sub(/:.*/, "", name); sub(/.* ## /, ""); printf "  make %-16s %s\n", name, $$0}' Makefile

##@ Work with notebooks and models

setup: ## make .venv, or bring it up to date; the other tasks begin with it
	@command -v $(PYTHON) >/dev/null || { \
	  echo "lectern: there is no $(PYTHON) on the PATH; install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) bootstrap.py

# a column may be called anything, so its name reaches the shell in a variable, and make does not expand it
given = $(if $(findstring command line,$(origin $(1))),$(value $(1)))
new: export new_name := $(call given,NAME)
new: export new_data := $(call given,DATA)
new: export new_target := $(call given,TARGET)
new: setup ## draft a training notebook for a file of rows (NAME=rents DATA=rows.csv TARGET=column TASK= FORCE=1)
	@exec $(bin)/lectern new $${new_name:+"$$new_name"} $${new_data:+--data "$$new_data"} \
	  $${new_target:+--target "$$new_target"} $(if $(TASK),--task $(TASK)) $(if $(FORCE),--force)

# `make serve` and `make lab` begin with something to ask
define first-models
@case "$(store)" in *://*) exit ;; esac; \
ls "$(store)"/*/[1-9]*/manifest.json >/dev/null 2>&1 || { \
  echo "The store '$(store)' has no version yet: training two examples first."; \
  $(MAKE) --no-print-directory train NOTEBOOK="$(or $(call given,NOTEBOOK),$(first))"; }
endef

# kernels run in the folder of their notebook, so the store's path must not depend on it
lab: export LECTERN_STORE := $(if $(filter /%,$(store))$(findstring ://,$(store)),$(store),$(CURDIR)/$(store))
lab: setup ## open the notebooks in JupyterLab, with the service as a tile and the same two examples (STORE=)
	$(first-models)
	@exec $(bin)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

train: setup ## run training notebooks and publish what they export (NOTEBOOK= PARAMS="trees=200 depth=3" FORCE=1 STORE=)
	@echo "Training: $(NOTEBOOK)"
	@exec $(bin)/lectern train $(NOTEBOOK) $(addprefix -p ,$(PARAMS)) $(if $(FORCE),--force)

sweep: setup ## run a notebook with many sets of parameters, publish the best (NOTEBOOK= PARAMS="trees=50,100 depth=2,4" JOBS= FORCE=1 STORE=)
	@exec $(bin)/lectern sweep $(call given,NOTEBOOK) $(addprefix -p ,$(PARAMS)) $(if $(JOBS),--jobs $(JOBS)) $(if $(FORCE),--force)

serve: setup ## answer requests, with two examples trained if there is no model yet (PORT= HOST= WORKERS= MODEL= STORE=)
	$(first-models)
	@exec $(bin)/lectern serve

##@ Check and mend the code

# types are checked beside the first tests, and while a browser comes; what is found comes last, where it is read
test: lint ## everything CI checks: lint, types, unit
	@mkdir -p build; \
	$(MAKE) --no-print-directory types >build/types.log 2>&1 & \
	$(MAKE) --no-print-directory unit; unit=$$?; \
	wait $$!; types=$$?; \
	cat build/types.log; \
	test $$unit = 0 && exit $$types
	@echo "All checks passed."

lint: setup ## style and likely bugs, in modules and notebooks (ruff)
	@echo "Lint: ruff check, ruff format --check"
	@$(bin)/ruff check --quiet
	@$(bin)/ruff format --check --quiet

types: setup ## types (mypy, strict)
	@echo "Types: mypy --strict"
	@$(bin)/mypy

# half of a test's time is waiting for a process it started, so two share a core; each takes neighbouring tests, which
# share their fixtures, and in the end some of another's; and all of them would compile what nobody wrote down
unit: export PYTHONDONTWRITEBYTECODE :=
unit: setup browser ## the tests, and the tutorials among them, on every core (pytest)
	@echo "Unit: pytest"
	@$(bin)/pytest --numprocesses $$((2 * $$(getconf _NPROCESSORS_ONLN))) --dist worksteal --quiet

# the commands that tests/browsing.py looks for, too: the one without a window needs half the time
browsers = chromium-headless-shell chromium chromium-browser google-chrome
have-browser = for name in $(browsers); do command -v $$name >/dev/null && exit; done
apt-get = env DEBIAN_FRONTEND=noninteractive apt-get --yes -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120

# where none can be had, the tests of pages are left out and all others run; apt-get waits for one of its locks only
browser: setup ## put a browser on the machine for the tests of pages, if it has none (apt-get)
	@$(have-browser); \
	root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	if command -v apt-get >/dev/null && $$root true 2>/dev/null; then \
	  echo "Browser: installing Chromium (apt-get)"; \
	  mkdir -p build; tries=24; \
	  install="$$root $(apt-get) install --no-install-recommends fonts-dejavu-core fonts-liberation"; \
	  until { $$root $(apt-get) update; $$install chromium-headless-shell || $$install chromium; } >build/browser.log 2>&1; \
	  do \
	    grep -q "Could not get lock" build/browser.log && test $$((tries -= 1)) -gt 0 || { \
	      tail -n 20 build/browser.log >&2; break; }; \
	    sleep 5; \
	  done; \
	fi; \
	$(have-browser); \
	echo "lectern: there is no browser on the PATH ($(browsers)), so the tests of pages are left out;" \
	  "install Chromium or Chrome (on Debian, as root: apt-get install chromium)" >&2; \
	exit $(if $(filter browser,$(MAKECMDGOALS)),1,0)

soak: setup ## long runs: a hundred swaps under load, runs stopped at every moment, faults at every call of the kernel
	@$(bin)/pytest --capture=no tests/soak_*.py

fuzz: setup ## the tests of properties, with many more examples, drawn anew each time (hypothesis), and bytes that are nearly requests
	@$(bin)/pytest --numprocesses auto --quiet --hypothesis-profile=thorough $$(grep -lE "^(@given|class .*StateMachine)" tests/test_*.py) tests/test_fuzz_api.py tests/fuzz_api.py
	@$(bin)/python -m tests.fuzzing --count 10000

coverage: setup ## the tests of what publishes, verifies, loads and lets in; fails below all of its lines and branches (coverage)
	@$(bin)/python -m tests.guarded

mutation: setup ## change the same modules bit by bit; fails where one in ten changes is seen by no test (cosmic-ray; MODULES= SHARE=0.1)
	@$(bin)/python -m tests.mutation $(MODULES) $(if $(SHARE),--share $(SHARE))

# beside .venv, so that nothing else ever sees it: on Linux the package index has only builds of several GB
unit-torch: setup ## the tests of PyTorch's modules, with PyTorch installed for them
	@test -x build/torch/bin/python || $(bin)/python -m venv build/torch
	@echo "import site; site.addsitedir('$(CURDIR)/.venv/lib/$$(ls .venv/lib)/site-packages')" \
	  > build/torch/lib/$$(ls build/torch/lib)/site-packages/lectern.pth
	@build/torch/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 onnxscript
	@build/torch/bin/python -m pytest --quiet tests/test_modules.py

# unpacked beside .venv, not installed: the package would start a Prometheus of its own
check-prometheus: setup ## the alerts and the dashboard of deploy, with a real Prometheus and a live service (apt-get)
	@command -v prometheus >/dev/null || test -x build/prometheus/usr/bin/prometheus || { \
	  echo "Prometheus: unpacking it (apt-get)"; \
	  root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	  rm -rf build/prometheus && mkdir -p build/prometheus && cd build/prometheus && \
	  { apt-get download prometheus || { $$root $(apt-get) update && apt-get download prometheus; }; } >../prometheus.log 2>&1 && \
	  dpkg-deb --extract prometheus_*.deb . || { \
	    tail -n 20 ../prometheus.log >&2; \
	    echo "lectern: there is no Prometheus on the PATH, and apt-get brought none; install it" >&2; exit 1; }; }
	@$(bin)/pytest --quiet tests/check_prometheus.py

check-nginx: setup ## the configuration for nginx of deploy, with a real nginx before a live service (apt-get)
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || test -x build/nginx/usr/sbin/nginx || { \
	  echo "nginx: unpacking it (apt-get)"; \
	  root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	  rm -rf build/nginx && mkdir -p build/nginx && cd build/nginx && \
	  { apt-get download nginx || { $$root $(apt-get) update && apt-get download nginx; }; } >../nginx.log 2>&1 && \
	  dpkg-deb --extract nginx_*.deb . || { \
	    tail -n 20 ../nginx.log >&2; \
	    echo "lectern: there is no nginx on the PATH, and apt-get brought none; install it" >&2; exit 1; }; }
	@$(bin)/pytest --quiet tests/check_nginx.py

# the server is private to the tests and gone afterwards; what Debian starts by itself is not touched
have-postgres = ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null
unit-postgres: setup ## the tests of the prediction log on PostgreSQL, which is put on the machine if it has none (apt-get)
	@$(have-postgres) || { \
	  root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	  echo "PostgreSQL: installing it (apt-get)"; \
	  mkdir -p build; \
	  { $$root $(apt-get) update && $$root $(apt-get) install --no-install-recommends postgresql; } >build/postgres.log 2>&1 || { \
	    tail -n 20 build/postgres.log >&2; \
	    echo "lectern: there is no PostgreSQL here; install it (on Debian, as root: apt-get install postgresql)" >&2; exit 1; }; }
	@$(bin)/python -m tests.postgres

# the server is private to the tests and gone afterwards, here too
unit-redis: setup ## the tests of limits that several workers share in Redis, which is put on the machine if it has none (apt-get)
	@command -v redis-server >/dev/null || { \
	  root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	  echo "Redis: installing it (apt-get)"; \
	  mkdir -p build; \
	  { $$root $(apt-get) update && $$root $(apt-get) install --no-install-recommends redis-server; } >build/redis.log 2>&1 || { \
	    tail -n 20 build/redis.log >&2; \
	    echo "lectern: there is no Redis here; install it (on Debian, as root: apt-get install redis-server)" >&2; exit 1; }; }
	@$(bin)/python -m tests.redis

tutorials-check: setup ## the tutorials alone, against a live service: each cell must answer as committed (nbval)
	@echo "Tutorials: nbval against a live service"
	@$(bin)/python -m tests.tutorials --check

tutorials: setup ## run the tutorials again and keep their new outputs
	@echo "Tutorials: running them in place"
	@$(bin)/python -m tests.tutorials

screenshots: setup browser ## take the pictures of the docs anew, of a service with the example models
	@$(bin)/python -m tests.screenshots

format: setup ## mend what ruff knows how to mend, then format
	@$(bin)/ruff check --fix --exit-zero
	@$(bin)/ruff format

hooks: setup ## let every commit be brought into form: notebooks stripped, code formatted (pre-commit)
	@$(bin)/pre-commit install

bench: setup ## measure the service beside its peers, each in an environment of its own; needs wrk (apt install wrk), half an hour
	@$(bin)/python -m benchmarks.serving $(if $(ONLY),--only $(ONLY)) $(if $(CASES),--cases $(CASES))

bench-short: setup ## measure the service beside a bare echo; fails where it has become slower (needs wrk)
	@$(bin)/python -m benchmarks.serving --short

bench-training: setup ## measure what a run costs beside its code, and what a sweep gains from the cores
	@$(bin)/python -m benchmarks.training

##@ Look after the environment

compile = $(bin)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) pyproject.toml

lock: setup ## pin what pyproject.toml asks for (UPGRADE=1: the newest of everything)
	@echo "Lock: requirements.lock, requirements-serving.lock"
	@$(compile) --extra dev --output-file requirements.lock
	@$(compile) --constraints requirements.lock --output-file requirements-serving.lock

known-types: setup ## fit every estimator there is, and keep what their pickles name (contract/formats/known_types.txt)
	@OMP_NUM_THREADS=1 $(bin)/python -W ignore -m tests.known_types

clean: ## remove .venv and every cache; never a model
	@echo "Clean: .venv, caches, builds"
	@rm -rf .venv .venv.log .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	@find . \( -name .git -o -path ./artifacts \) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
