# SPDX-License-Identifier: Apache-2.0
# The few words that a user types. Meson does the building (meson.build); all that is made is in build/.
#   make            programs into build/bin
#   make demo       the main job, shown step by step
#   make test       all tests; the last line counts them
#   make lint       formatting and static checks
#   make install    [PREFIX=/usr/local] [DESTDIR=]
#   make clean      what was built; `make distclean` the fetched tools as well
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
PREFIX ?= /usr/local
export PATH := $(PATH):$(CURDIR)/build/deps/go/bin:/usr/sbin:/sbin
export GOTOOLCHAIN := local
STEP := . packaging/step.sh; step

# Nothing is written outside the checkout: ccache's and Go's caches are in build/ as well, unless the environment says where.
export CCACHE_DIR ?= $(CURDIR)/build/cache/ccache
export GOCACHE ?= $(CURDIR)/build/cache/go
export GOMODCACHE ?= $(CURDIR)/build/cache/modules
export GOFLAGS := $(GOFLAGS) -modcacherw
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

.PHONY: all programs demo test lint install clean distclean examples

all: programs

build/deps/ready: packaging/setup.sh packaging/debian-12.packages packaging/python.requirements
	@bash packaging/setup.sh

build/obj/build.ninja: | build/deps/ready
	@$(STEP) configure "configure" meson setup build/obj --prefix / --libdir lib

programs: build/deps/ready build/obj/build.ninja
	@$(STEP) build "build the programs" ninja -C build/obj
	@$(STEP) install "put them into build/bin" meson install -C build/obj --no-rebuild --destdir $(CURDIR)/build
	@mkdir -p build/lib && cp -u build/deps/wasmtime/lib/libwasmtime.so build/lib/

# The same tree with ASan and UBSan, for the unit tests.
build/asan/build.ninja: | build/deps/ready
	@$(STEP) configure-asan "configure with sanitizers" meson setup build/asan -Db_sanitize=address,undefined -Db_lundef=false

# libFuzzer's targets; clang's.
build/fuzz/build.ninja: | build/deps/ready
	@$(STEP) configure-fuzz "configure for fuzzing" env CC="ccache clang" meson setup build/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false

build/bin/criload: $(wildcard bench/criload/*) | build/deps/ready
	@mkdir -p build/bin
	@$(STEP) criload "build the load generator" go build -C bench/criload -o $(CURDIR)/build/bin/criload .

# containerd and docker's CLI, for the tests that run them
build/peers/ready: packaging/peers.sh | build/deps/ready
	@$(STEP) peers "build the peers" packaging/peers.sh

examples: build/deps/ready
	@$(MAKE) --no-print-directory -C examples

demo: programs build/bin/criload
	@examples/demo.sh

test: programs examples build/bin/criload build/peers/ready build/asan/build.ninja build/fuzz/build.ninja
	@$(STEP) build-asan "build with sanitizers" ninja -C build/asan meson-test-prereq
	@$(STEP) build-fuzz "build the fuzz targets" ninja -C build/fuzz fuzz-targets
	@python3 tests/run.py

lint: build/obj/build.ninja
	@packaging/lint.sh

install: programs
	@meson install -C build/obj --no-rebuild --destdir "$${DESTDIR:-}$(PREFIX)"
	@install -D -t "$${DESTDIR:-}$(PREFIX)/lib" build/lib/libwasmtime.so

clean:
	rm -rf build/obj build/asan build/fuzz build/bin build/lib build/share build/examples build/log

distclean:
	rm -rf build
