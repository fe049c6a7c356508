/* SPDX-License-Identifier: BSD-2-Clause */
/* Freestanding text formatting: the subset of printf that Cosm's messages need. */
#include "base/fmt.h"

struct out {
    char *buf;
    size_t size;
    size_t len; /* of the whole text, cut or not */
};

struct spec {
    bool left, zero, alt;
    int width, precision; /* precision -1: none given */
    unsigned size;        /* bytes of the integer argument */
};

static void out_char(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void out_pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        out_char(o, c);
}

static void out_padded(struct out *o, const struct spec *s, const char *text, int len)
{
    if (!s->left)
        out_pad(o, ' ', s->width - len);
    for (int i = 0; i < len; i++)
        out_char(o, text[i]);
    if (s->left)
        out_pad(o, ' ', s->width - len);
}

static void out_string(struct out *o, const struct spec *s, const char *text)
{
    int len = 0;

    if (!text)
        text = "(null)";
    while ((s->precision < 0 || len < s->precision) && text[len])
        len++;
    out_padded(o, s, text, len);
}

static void out_number(struct out *o, const struct spec *s, u64 v, bool negative, unsigned radix,
                       bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[72];
    int at = sizeof(text), used;
    int min = s->precision < 0 ? 1 : s->precision;
    bool prefix = s->alt && radix == 16 && v;

    if (min > 64)
        min = 64;
    for (used = 0; v || used < min; v /= radix, used++)
        text[--at] = digits[v % radix];
    if (s->zero && !s->left && s->precision < 0) {
        int room = s->width - (prefix ? 2 : 0) - (negative ? 1 : 0);
        for (; used < room && used < 64; used++)
            text[--at] = '0';
    }
    if (prefix) {
        text[--at] = upper ? 'X' : 'x';
        text[--at] = '0';
    }
    if (negative)
        text[--at] = '-';
    out_padded(o, s, text + at, (int)sizeof(text) - at);
}

static int parse_number(const char **fmt, va_list *ap)
{
    int n = 0;

    if (**fmt == '*') {
        (*fmt)++;
        return va_arg(*ap, int);
    }
    while (**fmt >= '0' && **fmt <= '9') {
        if (n < 10000)
            n = n * 10 + (**fmt - '0');
        (*fmt)++;
    }
    return n;
}

static const char *parse_spec(const char *fmt, struct spec *s, va_list *ap)
{
    *s = (struct spec){.precision = -1, .size = sizeof(int)};
    for (;; fmt++) {
        if (*fmt == '-')
            s->left = true;
        else if (*fmt == '0')
            s->zero = true;
        else if (*fmt == '#')
            s->alt = true;
        else
            break;
    }
    s->width = parse_number(&fmt, ap);
    if (s->width < 0) {
        s->left = true;
        s->width = -s->width;
    }
    if (*fmt == '.') {
        fmt++;
        s->precision = parse_number(&fmt, ap);
    }
    for (;; fmt++) {
        if (*fmt == 'h')
            s->size = s->size == 2 ? 1 : 2;
        else if (*fmt == 'l' || *fmt == 'z' || *fmt == 'j')
            s->size = 8;
        else
            return fmt;
    }
}

static void out_signed(struct out *o, const struct spec *s, va_list *ap)
{
    s64 v = s->size == 8 ? va_arg(*ap, s64) : va_arg(*ap, int);

    if (s->size == 2)
        v = (s16)v;
    else if (s->size == 1)
        v = (s8)v;
    out_number(o, s, v < 0 ? 0 - (u64)v : (u64)v, v < 0, 10, false);
}

static void out_unsigned(struct out *o, const struct spec *s, va_list *ap, char conv)
{
    u64 v = s->size == 8 ? va_arg(*ap, u64) : va_arg(*ap, unsigned);

    if (s->size == 2)
        v = (u16)v;
    else if (s->size == 1)
        v = (u8)v;
    out_number(o, s, v, false, conv == 'u' ? 10 : 16, conv == 'X');
}

static void out_conversion(struct out *o, struct spec *s, va_list *ap, const char *at)
{
    switch (*at) {
    case '%':
        out_char(o, '%');
        break;
    case 'c': {
        char c = (char)va_arg(*ap, int);
        out_padded(o, s, &c, 1);
        break;
    }
    case 's':
        out_string(o, s, va_arg(*ap, const char *));
        break;
    case 'd':
    case 'i':
        out_signed(o, s, ap);
        break;
    case 'u':
    case 'x':
    case 'X':
        out_unsigned(o, s, ap, *at);
        break;
    case 'p':
        s->alt = true;
        out_number(o, s, (u64)(uintptr_t)va_arg(*ap, void *), false, 16, false);
        break;
    default:
        out_char(o, '%');
        out_char(o, *at);
    }
}

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};
    struct spec s;
    va_list args;

    va_copy(args, ap);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            out_char(&o, *fmt);
            continue;
        }
        fmt = parse_spec(fmt + 1, &s, &args);
        if (!*fmt)
            break;
        out_conversion(&o, &s, &args, fmt);
    }
    va_end(args);
    if (size)
        buf[o.len < size ? o.len : size - 1] = '\0';
    return o.len;
}

size_t fmt_print(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t len;

    va_start(ap, fmt);
    len = fmt_vprint(buf, size, fmt, ap);
    va_end(ap);
    return len;
}
