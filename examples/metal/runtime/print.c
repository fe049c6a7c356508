/* SPDX-License-Identifier: BSD-2-Clause */
/* Printing by lines, so that those of several harts and partitions do not mix. */
#include "guest.h"

#include <stdarg.h>

static void put(struct hart *self, char c)
{
    if (self->line_bytes == sizeof(self->line)) {
        sbi_write(self->line, self->line_bytes);
        self->line_bytes = 0;
    }
    self->line[self->line_bytes++] = c;
    if (c == '\n') {
        sbi_write(self->line, self->line_bytes);
        self->line_bytes = 0;
    }
}

struct layout {
    unsigned width;
    char pad;
};

static void put_number(struct hart *self, u64 value, unsigned base, bool minus, struct layout how)
{
    char digits[24];
    unsigned n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (minus)
        digits[n++] = '-';
    for (unsigned i = n; i < how.width; i++)
        put(self, how.pad);
    while (n > 0)
        put(self, digits[--n]);
}

static void put_signed(struct hart *self, long value, struct layout how)
{
    put_number(self, value < 0 ? -(u64)value : (u64)value, 10, value < 0, how);
}

static const char *put_argument(struct hart *self, const char *format, va_list *arguments)
{
    struct layout how = {0, ' '};
    bool wide;

    if (*format == '0') {
        how.pad = '0';
        format++;
    }
    for (; *format >= '0' && *format <= '9'; format++)
        how.width = how.width * 10 + (unsigned)(*format - '0');
    wide = *format == 'l';
    format += wide;
    switch (*format) {
    case 'c':
        put(self, (char)va_arg(*arguments, int));
        break;
    case 's':
        for (const char *s = va_arg(*arguments, const char *); *s; s++)
            put(self, *s);
        break;
    case 'd':
        put_signed(self, wide ? va_arg(*arguments, long) : va_arg(*arguments, int), how);
        break;
    case 'u':
    case 'x':
        put_number(self, wide ? va_arg(*arguments, u64) : va_arg(*arguments, unsigned),
                   *format == 'x' ? 16 : 10, false, how);
        break;
    default:
        put(self, *format);
    }
    return format + 1;
}

void print(const char *format, ...)
{
    u64 status = interrupts_off(); /* a handler may print, too */
    struct hart *self = hart_self();
    va_list arguments;

    va_start(arguments, format);
    while (*format) {
        if (*format == '%' && format[1])
            format = put_argument(self, format + 1, &arguments);
        else
            put(self, *format++);
    }
    va_end(arguments);
    interrupts_restore(status);
}
