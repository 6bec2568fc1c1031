# make demo     every step on a simulated world: no key, no download, 1 to 6 minutes after the install
# make report   the course report's method and figures on a simulated world, at most 10 minutes; TREE= for images of your own at
#               its own size, REPORT='--backbone_weights=random --height_px=128 --width_px=256 --epochs=2' for a quick look
# make test     lint, types and all tests
# make bench    speed of each step against this machine's limits and other loaders; IMAGES= for a tree
# make bench-scale  cost by number of locations: SIZES=1000,10000,100000,1000000 for more, hours
# make soak     hours of tests: a scrape of the whole country, 100,000 requests with faults, 200 kills of a scrape, 60 of one from a real Panoramax where it is installed; 100,000 changed
#               images and damage at 1,900 places; 1,000 kills of building, extracting, training and evaluating; full disks;
#               memory against its estimate; 10,000 bad requests to a server; mistakes of users, a million cases of the properties, an environment for each extra
# make install  the set-up alone: .venv with the exact versions of constraints.txt (the others run it when needed)

PYTHON ?= python3
BOUNDARY ?= us
IMAGES ?=
TREE ?=
REPORT ?=
SIZES ?= 1000,10000
VENV := .venv
BIN := $(VENV)/bin
SOURCES := geods model trainers tools tests setup.py

# One more than there are cores, as tests also wait: for servers, timeouts and what they have killed. Three took 5 GB in all.
TESTERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')

BENCHMARKS := input build features head job

.PHONY: demo report test bench bench-scale soak lint install clean

demo: install
	$(BIN)/python -m tools.demo --out=demo

report: install
	$(BIN)/python -m tools.report --out=report --tree=$(TREE) $(REPORT)

# Rewriting all asserts so that they show values takes 5 of 13 s before the first test, in each process; tests that fail
# run again with values. When a process of tests dies, pytest-xdist 3.8 gives its test to another one and then waits forever.
test: install lint
	$(BIN)/python -m pytest --numprocesses=$(TESTERS) --max-worker-restart=0 --dist=loadfile --no-loadscope-reorder --assert=plain || \
	{ $(BIN)/python -m pytest --last-failed --last-failed-no-failures=none; exit 1; }

bench: install
	for name in $(BENCHMARKS); do $(BIN)/python -m tools.benchmark_$$name --images=$(IMAGES) || exit; done

bench-scale: install
	$(BIN)/python -m tools.benchmark_scale --sizes=$(SIZES)

soak: install
	$(BIN)/python tests/soak/soak_country.py --boundary=$(BOUNDARY)
	$(BIN)/python tests/soak/soak.py
	$(BIN)/python tests/soak/soak_panoramax.py
	$(BIN)/python tests/soak/soak_trust.py
	$(BIN)/python tests/soak/soak_kills.py
	$(BIN)/python tests/soak/soak_disk.py
	$(BIN)/python tests/soak/soak_memory.py
	$(BIN)/python tests/soak/soak_serve.py
	$(BIN)/python tests/soak/soak_mistakes.py

lint: install
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

install: $(VENV)/installed

# The stamp is written last, so a broken install is done again.
$(VENV)/installed: setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "geods needs Python 3.10 or newer; run: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "python3 lacks venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) demo report benchmark mutants *.egg-info
