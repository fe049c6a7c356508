/* SPDX-License-Identifier: BSD-2-Clause */
/* How spec/riscv.def writes encodings: the fixed bits of a match, and the mask of each format. */
#ifndef COSM_RV_ENCODING_H
#define COSM_RV_ENCODING_H

#include "base/types.h"

/* match values: major opcode op, funct3, funct7 / funct6 / funct5 / upper 8 or 12 bits. */
#define E3(op, f3)      ((u32)(op) | (u32)(f3) << 12)
#define E7(op, f3, f7)  (E3(op, f3) | (u32)(f7) << 25)
#define E6(op, f3, f6)  (E3(op, f3) | (u32)(f6) << 26)
#define E5(op, f3, f5)  (E3(op, f3) | (u32)(f5) << 27)
#define E8(op, f3, u8_) (E3(op, f3) | (u32)(u8_) << 24)
#define E12(op, f3, u)  (E3(op, f3) | (u32)(u) << 20)
/* Floating point: format fm (0 single, 1 double, 2 half) in bits 26..25. */
#define E2(op, fm)           ((u32)(op) | (u32)(fm) << 25)
#define EF(f5, fm, f3)       (E3(0x53, f3) | (u32)(fm) << 25 | (u32)(f5) << 27)
#define EF1(f5, fm, rs2, f3) (EF(f5, fm, f3) | (u32)(rs2) << 20)

/* The bits that a format fixes, i.e. all that are not operands. */
enum insn_mask {
    MASK_NONE = -1,
    MASK_R = (int)0xfe00707f,
    MASK_R1 = (int)0xfff0707f,
    MASK_I = 0x0000707f,
    MASK_SH6 = (int)0xfc00707f,
    MASK_SH5 = (int)0xfe00707f,
    MASK_LOAD = 0x0000707f,
    MASK_STORE = 0x0000707f,
    MASK_B = 0x0000707f,
    MASK_U = 0x0000007f,
    MASK_J = 0x0000007f,
    MASK_JR = 0x0000707f,
    MASK_CSR = 0x0000707f,
    MASK_CSRI = 0x0000707f,
    MASK_AMO = (int)0xf800707f,
    MASK_LR = (int)0xf9f0707f,
    MASK_FENCE = 0x0000707f,
    MASK_FENCEI = 0x0000707f,
    MASK_SFENCE = (int)0xfe007fff,
    MASK_HLV = (int)0xfff0707f,
    MASK_HSV = (int)0xfe007fff,
    MASK_CBO = (int)0xfff07fff,
    MASK_MOPR = (int)0xb3c0707f,
    MASK_MOPRR = (int)0xb200707f,
    MASK_RNUM = (int)0xff00707f,
    MASK_BS = 0x3e00707f,
    MASK_FLOAD = 0x0000707f,
    MASK_FSTORE = 0x0000707f,
    MASK_FR4 = 0x0600007f,
    MASK_FR_RM = (int)0xfe00007f,
    MASK_FR1_RM = (int)0xfff0007f,
    MASK_FR = (int)0xfe00707f,
    MASK_FCMP = (int)0xfe00707f,
    MASK_F2X = (int)0xfff0707f,
    MASK_F2X_RM = (int)0xfff0007f,
    MASK_X2F = (int)0xfff0707f,
    MASK_X2F_RM = (int)0xfff0007f,
    MASK_FLI = (int)0xfff0707f,
};

#endif
