# Everything a person does here. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A Rust that tests/setup.sh has just installed is not on this shell's path yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help setup build test demo lab prove fuzz bench plant fmt lint deny clean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what a fresh Debian 12 or Ubuntu 24.04 lacks (root)
	@tests/setup.sh

build: setup ## build everything
	cargo build --workspace --bins

test: ## every test; those that need root say so when they do not run
	@tests/setup.sh test
	@tests/run.sh

demo: build ## three hosts, two tenants, real packets (root)
	@target/debug/ringfence-lab demo

lab: build ## raise the demo's hosts and keep them up (root)
	@target/debug/ringfence-lab up

prove: ## set definition, compiler, maps and programs against each other: CASES=N [SEED=S] (root)
	@cargo run --release --quiet -p ringfence-prove --bin ringfence-prove -- --cases $(or $(CASES),1000000) --seed $(or $(SEED),1) --corpus tests/corpus

fuzz: ## frames into the real programs, which may pass nothing that policy denies: LASTS=SECONDS [SEED=S] (root)
	@cargo run --release --quiet -p ringfence-prove --bin fuzz -- --seconds $(or $(LASTS),60) --seed $(or $(SEED),1) --corpus tests/corpus/frames

bench: ## what compiling and a packet cost: WHAT=compile|packets|lab, QUICK=1; JSON under target/bench/ (root)
	@tests/setup.sh bench
	@for what in $(or $(WHAT),compile packets lab); do cargo run --release --quiet -p ringfence-bench -- $(if $(QUICK),--amount quick) $$what || exit 1; done

plant: ## plant bugs in a copy of the tree and see each found: [LAYER=failures] [FAILURE=F11] [ONLY=WORDS OF ITS NAME] (root)
	@cargo run --quiet -p ringfence-prove --bin plant -- --layer "$(LAYER)" --only "$(ONLY)" $(if $(FAILURE),--failure $(FAILURE))

fmt: ## format Rust and C
	cargo fmt --all
	clang-format -i agent/bpf/*.[ch] tests/bench/bpf/*.c

lint: ## lints as the tests run them
	cargo clippy --workspace --all-targets -- -D warnings

deny: ## licences, bans and advisories of the dependencies (fetches the advisory database)
	cargo deny check

clean: ## remove what was built
	cargo clean
