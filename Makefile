# SPDX-License-Identifier: BSD-2-Clause
# The few commands of every day; Meson does the work.

BUILD ?= build
GUEST ?= trixie
MEMORY ?= 512M
HARTS ?= 2
PREFIX ?= /usr/local
COSM = $(BUILD)/apps/cosm
# On a terminal ninja shows one line that moves; elsewhere only what went wrong.
QUIET = $$(test -t 1 || echo --quiet)

.PHONY: all cosm configure help run run-metal test test-long bench bench-quick lint install clean
.DEFAULT_GOAL := all

all: configure ## build everything
	@ninja $(QUIET) -C $(BUILD)

cosm: configure ## build the command alone
	@ninja $(QUIET) -C $(BUILD) apps/cosm

configure:
	@tools/setup.sh build
	@test -f $(BUILD)/build.ninja || said=$$(meson setup $(BUILD) --prefix=$(PREFIX) 2>&1) || \
		{ echo "$$said"; exit 1; }

run: ## boot Debian's kernel to a shell (GUEST=sid MEMORY=1G HARTS=4)
	@tools/setup.sh run
	@$(MAKE) --no-print-directory cosm
	@guest=$$(tools/guest.py linux:$(GUEST)) || exit 1; \
	echo "To leave: type 'poweroff' in the guest, or press Ctrl-A and then x."; \
	exec $(COSM) run --kernel "$$guest/Image" --initrd "$$guest/initramfs.cpio" \
		--append "console=ttyS0 quiet" -m $(MEMORY) --smp $(HARTS)

run-metal: ## Debian's Linux, a real-time program and one that faults, held apart by cosm-metal in QEMU
	@tools/setup.sh metal
	@# A build from before there was a compiler for riscv64 has no hypervisor in it.
	@if test -f $(BUILD)/build.ninja && ! grep -q cosm-metal.elf $(BUILD)/build.ninja; then \
		meson setup --reconfigure $(BUILD) >/dev/null; fi
	@$(MAKE) --no-print-directory cosm
	@guest=$$(tools/guest.py linux:$(GUEST)) || exit 1; demo=$(BUILD)/metal-demo; mkdir -p $$demo; \
	$(MAKE) --no-print-directory -s -C examples/metal OUT="$$(realpath $$demo)" \
		SOURCES="cyclic/ticker.c demo/worker.c" || exit 1; \
	cp examples/metal/demo/demo.toml $$demo; ln -sf "$$guest/Image" "$$guest/initramfs.cpio" $$demo; \
	exec $(COSM) metal run $$demo/demo.toml

test: ## the default suite
	@tools/setup.sh test
	@tools/test.py

test-long: ## what takes longer than a coffee
	@tools/setup.sh long
	@tools/test.py --long

bench: ## figures against QEMU and the PC, as Markdown and JSON in build/bench
	@tools/setup.sh bench
	@$(MAKE) --no-print-directory cosm
	@bench/run.py --cosm $(COSM)

bench-quick: ## the same in about three minutes, rougher
	@tools/setup.sh bench
	@$(MAKE) --no-print-directory cosm
	@bench/run.py --quick --cosm $(COSM)

lint: ## format and static analysis
	@tools/setup.sh lint
	@tools/test.py --only lint

install: all ## install below PREFIX
	@meson install -C $(BUILD) --quiet

clean: ## remove what was built (the guests in the cache stay)
	@rm -rf $(BUILD) $(BUILD)-*

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12
