/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gdb's target description for RISC-V: the feature and register names are fixed by gdb (GDB manual,
 * "RISC-V Features"); the CSR list is the target's.
 */
#include "vmm/gdb_features.h"

#include "base/fmt.h"

#include <stdlib.h>

static const char *const x_name[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "fp", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *const f_name[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

struct xml {
    char *text;
    size_t size, len;
};

static void xml_add(struct xml *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* With no buffer it only measures. */
static void xml_add(struct xml *x, const char *fmt, ...)
{
    bool room = x->text && x->len < x->size;
    va_list ap;

    va_start(ap, fmt);
    x->len += fmt_vprint(room ? x->text + x->len : NULL, room ? x->size - x->len : 0, fmt, ap);
    va_end(ap);
}

static void xml_reg(struct xml *x, const char *name, u32 number, const char *type)
{
    xml_add(x, "<reg name=\"%s\" bitsize=\"64\" regnum=\"%u\" type=\"%s\"/>\n", name, number, type);
}

static const char *x_type(u32 reg)
{
    switch (reg) {
    case 1:
        return "code_ptr";
    case 2:
    case 3:
    case 4:
    case 8:
        return "data_ptr";
    default:
        return "int";
    }
}

static void xml_target(struct xml *x, const struct gdb_target *target)
{
    xml_add(x, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
               "<target version=\"1.0\">\n<architecture>riscv:rv64</architecture>\n"
               "<feature name=\"org.gnu.gdb.riscv.cpu\">\n");
    for (u32 i = 0; i < 32; i++)
        xml_reg(x, x_name[i], GDB_REG_X0 + i, x_type(i));
    xml_reg(x, "pc", GDB_REG_PC, "code_ptr");
    if (target->has_fpu) {
        xml_add(x, "</feature>\n<feature name=\"org.gnu.gdb.riscv.fpu\">\n");
        for (u32 i = 0; i < 32; i++)
            xml_reg(x, f_name[i], GDB_REG_F0 + i, "ieee_double");
    }
    if (target->csr_count) {
        xml_add(x, "</feature>\n<feature name=\"org.gnu.gdb.riscv.csr\">\n");
        for (u32 i = 0; i < target->csr_count; i++)
            xml_reg(x, target->csr[i].name, GDB_REG_CSR0 + target->csr[i].number, "int");
    }
    xml_add(x, "</feature>\n<feature name=\"org.gnu.gdb.riscv.virtual\">\n");
    xml_reg(x, "priv", GDB_REG_PRIV, "int");
    xml_add(x, "</feature>\n</target>\n");
}

char *gdb_features_create(const struct gdb_target *target, size_t *len)
{
    struct xml x = {0};

    xml_target(&x, target);
    x.size = x.len + 1;
    x.len = 0;
    x.text = malloc(x.size);
    if (!x.text)
        return NULL;
    xml_target(&x, target);
    *len = x.len;
    return x.text;
}
