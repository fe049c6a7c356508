/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interpreter of a small dynamic language of our own, in the manner of Lua: values with tags,
 * interned strings, tables with an array and a hash part, functions; one pass from text to code for
 * a stack machine. A piece of work compiles and runs script.h's program from nothing.
 */
#include "script.h"
#include "bench.h"

enum tag { NIL, BOOLEAN, INTEGER, NUMBER, STRING, TABLE, FUNCTION };

struct string {
    struct string *next; /* in its chain of the intern table */
    uint32_t hash, length;
    char text[];
};

struct value {
    enum tag tag;
    union {
        int64_t integer; /* also boolean, and where a function's code begins */
        double number;
        struct string *string;
        struct table *table;
    };
};

struct entry {
    struct value key, value;
};

struct table {
    struct value *array; /* keys 1 to count */
    struct entry *entry;
    uint32_t count, room, used, mask; /* mask: entries less one, or 0 for none */
};

/* --- memory: all of it goes at once when a run is over --- */

#define ARENA   (16 << 20)
#define INTERNS 4096

static _Alignas(16) char arena[ARENA];
static size_t arena_used;
static struct string *interned[INTERNS];

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "script: %s\n", what);
    exit(1);
}

static void *take(size_t size)
{
    void *found = arena + arena_used;

    size = (size + 15) & ~(size_t)15;
    if (size > ARENA - arena_used)
        fail("no memory");
    arena_used += size;
    return found;
}

static struct string *intern(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    struct string *string;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    for (string = interned[hash % INTERNS]; string; string = string->next) {
        if (string->hash == hash && string->length == length && !memcmp(string->text, text, length))
            return string;
    }
    string = take(sizeof *string + length + 1);
    *string = (struct string){interned[hash % INTERNS], hash, (uint32_t)length};
    memcpy(string->text, text, length);
    string->text[length] = '\0';
    interned[hash % INTERNS] = string;
    return string;
}

/* --- tables --- */

static inline int same(const struct value *a, const struct value *b)
{
    if (a->tag != b->tag)
        return a->tag == INTEGER && b->tag == NUMBER   ? (double)a->integer == b->number
               : a->tag == NUMBER && b->tag == INTEGER ? a->number == (double)b->integer
                                                       : 0;
    return a->tag == NIL || (a->tag == NUMBER ? a->number == b->number : a->integer == b->integer);
}

static inline uint32_t hash_of(const struct value *key)
{
    if (key->tag == STRING)
        return key->string->hash;
    return (uint32_t)((uint64_t)key->integer * 0x9e3779b97f4a7c15 >> 32);
}

static inline struct entry *find(const struct table *table, const struct value *key)
{
    uint32_t at = hash_of(key) & table->mask;

    while (table->entry[at].key.tag != NIL && !same(&table->entry[at].key, key))
        at = (at + 1) & table->mask;
    return &table->entry[at];
}

static void table_grow(struct table *table)
{
    uint32_t old = table->mask ? table->mask + 1 : 0, now = old ? 2 * old : 8;
    struct entry *entry = table->entry;

    table->entry = take(now * sizeof *entry);
    memset(table->entry, 0, now * sizeof *entry);
    table->mask = now - 1;
    for (uint32_t i = 0; i < old; i++) {
        if (entry[i].key.tag != NIL)
            *find(table, &entry[i].key) = entry[i];
    }
}

static struct value table_get(const struct table *table, const struct value *key)
{
    if (key->tag == INTEGER && (uint64_t)key->integer - 1 < table->count)
        return table->array[key->integer - 1];
    if (!table->mask)
        return (struct value){.tag = NIL};
    return find(table, key)->value;
}

static void table_append(struct table *table, const struct value *value)
{
    if (table->count == table->room) {
        uint32_t room = table->room ? 2 * table->room : 4;
        struct value *array = take(room * sizeof *array);

        if (table->count)
            memcpy(array, table->array, table->count * sizeof *array);
        table->array = array;
        table->room = room;
    }
    table->array[table->count++] = *value;
}

static void table_set(struct table *table, const struct value *key, const struct value *value)
{
    struct entry *entry;

    if (key->tag == INTEGER && (uint64_t)key->integer - 1 < table->count) {
        table->array[key->integer - 1] = *value;
        return;
    }
    if (key->tag == INTEGER && key->integer == (int64_t)table->count + 1) {
        table_append(table, value);
        return;
    }
    if (4 * table->used >= 3 * table->mask)
        table_grow(table);
    entry = find(table, key);
    table->used += entry->key.tag == NIL;
    *entry = (struct entry){*key, *value};
}

/* --- code: a word is an operation and its operand --- */

enum op {
    OP_CONSTANT,
    OP_NIL,
    OP_POP,
    OP_GET_LOCAL,
    OP_SET_LOCAL,
    OP_GET_GLOBAL,
    OP_SET_GLOBAL,
    OP_TABLE,
    OP_GET,
    OP_SET,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_CONCAT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_NOT,
    OP_NEG,
    OP_LENGTH,
    OP_JUMP,
    OP_JUMP_FALSE,
    OP_AND,
    OP_OR,
    OP_FOR,
    OP_NEXT,
    OP_ENTER,
    OP_CALL,
    OP_RETURN,
};

#define CODES     4096
#define CONSTANTS 256
#define STACK     4096
#define LOCALS    32

static uint32_t code[CODES];
static struct value constant[CONSTANTS];
static uint32_t codes, constants;
static struct table globals;

/* --- the compiler --- */

enum token { T_END = 256, T_NAME, T_NUMBER, T_STRING, T_EQ, T_NE, T_LE, T_GE, T_CONCAT };

static const char *source, *token_text;
static size_t token_length;
static int token;

static struct {
    const char *name;
    size_t length;
} local[LOCALS];
static uint32_t locals, most_locals;

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void next_token(void)
{
    static const struct {
        char text[3];
        int token;
    } pairs[] = {{"==", T_EQ}, {"~=", T_NE}, {"<=", T_LE}, {">=", T_GE}, {"..", T_CONCAT}};

    while (*source == ' ' || *source == '\n')
        source++;
    token_text = source;
    token = *source ? (uint8_t)*source : T_END;
    if (is_name(*source)) {
        token = *source <= '9' ? T_NUMBER : T_NAME;
        while (is_name(*source) || (token == T_NUMBER && *source == '.' && source[1] != '.'))
            source++;
    } else if (*source == '"') {
        token = T_STRING;
        token_text++;
        while (*++source != '"')
            ;
        token_length = (size_t)(source++ - token_text);
        return;
    } else if (*source) {
        source++;
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            if (!strncmp(token_text, pairs[i].text, 2)) {
                token = pairs[i].token;
                source++;
                break;
            }
        }
    }
    token_length = (size_t)(source - token_text);
}

static int at_word(const char *word)
{
    return token == T_NAME && strlen(word) == token_length &&
           !memcmp(token_text, word, token_length);
}

static int accept(const char *word)
{
    int found = is_name(*word) ? at_word(word) : token == *word;

    if (found)
        next_token();
    return found;
}

static void expect(const char *word)
{
    if (!accept(word))
        fail(word);
}

static uint32_t emit(enum op op, uint32_t operand)
{
    if (codes == CODES)
        fail("too much code");
    code[codes] = (uint32_t)op | operand << 8;
    return codes++;
}

static void patch(uint32_t at)
{
    code[at] = (code[at] & 0xff) | codes << 8;
}

static uint32_t add_constant(struct value value)
{
    for (uint32_t i = 0; i < constants; i++) {
        if (constant[i].tag == value.tag && same(&constant[i], &value))
            return i;
    }
    if (constants == CONSTANTS)
        fail("too many constants");
    constant[constants] = value;
    return constants++;
}

static uint32_t name_constant(void)
{
    uint32_t index =
        add_constant((struct value){STRING, {.string = intern(token_text, token_length)}});

    next_token();
    return index;
}

static int find_local(void)
{
    for (uint32_t i = locals; i-- > 0;) {
        if (local[i].length == token_length && !memcmp(local[i].name, token_text, token_length))
            return (int)i;
    }
    return -1;
}

static uint32_t add_local(const char *name, size_t length)
{
    if (locals == LOCALS)
        fail("too many locals");
    local[locals].name = name;
    local[locals].length = length;
    if (++locals > most_locals)
        most_locals = locals;
    return locals - 1;
}

static void expression(int level);
static void block(void);

static void function(void)
{
    uint32_t outer = locals, most = most_locals, over = emit(OP_JUMP, 0), enter, arguments = 0;
    int64_t begin = codes;

    if (outer) /* it sees its own locals and the globals, nothing between */
        fail("a function stands where no locals are");
    most_locals = 0;
    enter = emit(OP_ENTER, 0);
    expect("(");
    while (!accept(")")) {
        add_local(token_text, token_length);
        arguments++;
        next_token();
        accept(",");
    }
    block();
    expect("end");
    emit(OP_NIL, 0);
    emit(OP_RETURN, 0);
    code[enter] |= most_locals << 8 | arguments << 24;
    patch(over);
    locals = outer;
    most_locals = most;
    emit(OP_CONSTANT, add_constant((struct value){FUNCTION, {.integer = begin}}));
}

static void number_constant(void)
{
    char *end;
    struct value value = {INTEGER, {.integer = strtoll(token_text, &end, 10)}};

    if (end != token_text + token_length)
        value = (struct value){NUMBER, {.number = strtod(token_text, NULL)}};
    next_token();
    emit(OP_CONSTANT, add_constant(value));
}

static void primary(void)
{
    int slot;

    if (token == T_NUMBER) {
        number_constant();
    } else if (token == T_STRING) {
        emit(OP_CONSTANT, name_constant());
    } else if (accept("(")) {
        expression(0);
        expect(")");
    } else if (accept("{")) {
        emit(OP_TABLE, 0);
        expect("}");
    } else if (accept("nil")) {
        emit(OP_NIL, 0);
    } else if (at_word("true") || at_word("false")) {
        emit(OP_CONSTANT, add_constant((struct value){BOOLEAN, {.integer = at_word("true")}}));
        next_token();
    } else if (token == T_NAME) {
        slot = find_local();
        if (slot >= 0) {
            next_token();
            emit(OP_GET_LOCAL, (uint32_t)slot);
        } else {
            emit(OP_GET_GLOBAL, name_constant());
        }
    } else {
        fail("an expression was expected");
    }
}

static void suffixes(void)
{
    for (;;) {
        if (accept("[")) {
            expression(0);
            expect("]");
            emit(OP_GET, 0);
        } else if (accept(".")) {
            emit(OP_CONSTANT, name_constant());
            emit(OP_GET, 0);
        } else if (accept("(")) {
            uint32_t arguments = 0;

            while (!accept(")")) {
                expression(0);
                arguments++;
                accept(",");
            }
            emit(OP_CALL, arguments);
        } else {
            return;
        }
    }
}

static void unary(void)
{
    enum op op = at_word("not") ? OP_NOT
                 : token == '-' ? OP_NEG
                 : token == '#' ? OP_LENGTH
                                : OP_POP;

    if (op == OP_POP) {
        primary();
        suffixes();
        return;
    }
    next_token();
    unary();
    emit(op, 0);
}

/* How tightly an operator binds, and its operation; 0 for what is none. */
static int operator_level(enum op *op)
{
    static const struct {
        int token, level;
        enum op op;
    } operators[] = {
        {T_EQ, 3, OP_EQ}, {T_NE, 3, OP_NE}, {'<', 3, OP_LT},  {T_LE, 3, OP_LE},
        {'>', 3, OP_GT},  {T_GE, 3, OP_GE}, {'+', 5, OP_ADD}, {T_CONCAT, 4, OP_CONCAT},
        {'-', 5, OP_SUB}, {'*', 6, OP_MUL}, {'/', 6, OP_DIV}, {'%', 6, OP_MOD},
    };

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].token == token) {
            *op = operators[i].op;
            return operators[i].level;
        }
    }
    *op = at_word("and") ? OP_AND : OP_OR;
    return at_word("and") ? 2 : at_word("or") ? 1 : 0;
}

static void expression(int level)
{
    enum op op;
    int tighter;

    unary();
    while ((tighter = operator_level(&op)) > level) {
        next_token();
        if (op == OP_AND || op == OP_OR) {
            uint32_t over = emit(op, 0);

            expression(tighter);
            patch(over);
        } else {
            expression(tighter);
            emit(op, 0);
        }
    }
}

static void if_statement(void)
{
    uint32_t out[16], outs = 0, over;

    for (;;) {
        expression(0);
        expect("then");
        over = emit(OP_JUMP_FALSE, 0);
        block();
        if (outs == 16)
            fail("too many branches");
        out[outs++] = emit(OP_JUMP, 0);
        patch(over);
        if (accept("elseif"))
            continue;
        if (accept("else"))
            block();
        break;
    }
    expect("end");
    while (outs)
        patch(out[--outs]);
}

static void while_statement(void)
{
    uint32_t top = codes, over;

    expression(0);
    expect("do");
    over = emit(OP_JUMP_FALSE, 0);
    block();
    expect("end");
    emit(OP_JUMP, top);
    patch(over);
}

/* The variable and, in the slot behind it, the limit. */
static void for_statement(void)
{
    const char *name = token_text;
    size_t length = token_length;
    uint32_t slot, top, over;

    next_token();
    expect("=");
    expression(0);
    expect(",");
    expression(0);
    expect("do");
    slot = add_local(name, length);
    add_local("(limit)", 7);
    emit(OP_SET_LOCAL, slot + 1);
    emit(OP_SET_LOCAL, slot);
    top = emit(OP_FOR, slot);
    over = emit(OP_JUMP, 0);
    block();
    expect("end");
    emit(OP_NEXT, slot);
    emit(OP_JUMP, top);
    patch(over);
    locals = slot;
}

/* An assignment to what the code at the end reads, or a call whose result nobody wants. */
static void plain_statement(void)
{
    uint32_t last;

    primary();
    suffixes();
    last = code[codes - 1];
    if (!accept("=")) {
        emit(OP_POP, 0);
        return;
    }
    codes--;
    expression(0);
    switch (last & 0xff) {
    case OP_GET:
        emit(OP_SET, 0);
        break;
    case OP_GET_LOCAL:
        emit(OP_SET_LOCAL, last >> 8);
        break;
    case OP_GET_GLOBAL:
        emit(OP_SET_GLOBAL, last >> 8);
        break;
    default:
        fail("nothing to assign to");
    }
}

static void local_statement(void)
{
    const char *name = token_text;
    size_t length = token_length;

    next_token();
    expect("=");
    expression(0);
    emit(OP_SET_LOCAL, add_local(name, length));
}

static void statement(void)
{
    uint32_t name;

    if (accept("if")) {
        if_statement();
    } else if (accept("while")) {
        while_statement();
    } else if (accept("for")) {
        for_statement();
    } else if (accept("local")) {
        local_statement();
    } else if (accept("return")) {
        expression(0);
        emit(OP_RETURN, 0);
    } else if (accept("function")) {
        name = name_constant();
        function();
        emit(OP_SET_GLOBAL, name);
    } else {
        plain_statement();
    }
}

static void block(void)
{
    uint32_t before = locals;

    while (token != T_END && !at_word("end") && !at_word("else") && !at_word("elseif"))
        statement();
    locals = before;
}

static void compile(const char *text)
{
    uint32_t enter;

    source = text;
    codes = constants = locals = most_locals = 0;
    next_token();
    enter = emit(OP_ENTER, 0);
    block();
    emit(OP_NIL, 0);
    emit(OP_RETURN, 0);
    code[enter] |= most_locals << 8;
}

/* --- the machine --- */

static struct value stack[STACK];

static double as_number(const struct value *value)
{
    if (value->tag == INTEGER)
        return (double)value->integer;
    if (value->tag != NUMBER)
        fail("a number was expected");
    return value->number;
}

static int64_t floor_modulo(int64_t a, int64_t b)
{
    int64_t rest;

    if (b == 0)
        fail("division by zero");
    rest = a % b;
    return rest && (rest ^ b) < 0 ? rest + b : rest;
}

static void arithmetic(enum op op, struct value *a, const struct value *b)
{
    if (a->tag == INTEGER && b->tag == INTEGER && op != OP_DIV) {
        uint64_t x = (uint64_t)a->integer, y = (uint64_t)b->integer;

        a->integer = op == OP_ADD   ? (int64_t)(x + y)
                     : op == OP_SUB ? (int64_t)(x - y)
                     : op == OP_MUL ? (int64_t)(x * y)
                                    : floor_modulo(a->integer, b->integer);
    } else {
        double x = as_number(a), y = as_number(b);

        a->tag = NUMBER;
        a->number = op == OP_ADD   ? x + y
                    : op == OP_SUB ? x - y
                    : op == OP_MUL ? x * y
                    : op == OP_DIV ? x / y
                                   : x - (double)(int64_t)(x / y) * y;
    }
}

static int less(const struct value *a, const struct value *b)
{
    if (a->tag == INTEGER && b->tag == INTEGER)
        return a->integer < b->integer;
    if (a->tag == STRING && b->tag == STRING)
        return strcmp(a->string->text, b->string->text) < 0;
    return as_number(a) < as_number(b);
}

static int compare(enum op op, const struct value *a, const struct value *b)
{
    switch (op) {
    case OP_EQ:
        return same(a, b);
    case OP_NE:
        return !same(a, b);
    case OP_LT:
        return less(a, b);
    case OP_LE:
        return !less(b, a);
    case OP_GT:
        return less(b, a);
    default:
        return !less(a, b);
    }
}

static size_t print_value(char *out, const struct value *value)
{
    if (value->tag == STRING) {
        memcpy(out, value->string->text, value->string->length);
        return value->string->length;
    }
    if (value->tag == INTEGER)
        return (size_t)sprintf(out, "%lld", (long long)value->integer);
    return (size_t)sprintf(out, "%.8g", as_number(value));
}

static void concat(struct value *a, const struct value *b)
{
    char text[512];
    size_t length;

    if ((a->tag == STRING && a->string->length > 200) ||
        (b->tag == STRING && b->string->length > 200))
        fail("too long a string");
    length = print_value(text, a);
    length += print_value(text + length, b);
    *a = (struct value){STRING, {.string = intern(text, length)}};
}

static inline struct table *as_table(const struct value *value)
{
    if (value->tag != TABLE)
        fail("a table was expected");
    return value->table;
}

/* A letter of a string, by its number from 1, as a string; or what a table holds. */
static struct value index_value(const struct value *value, const struct value *key)
{
    if (value->tag == STRING) {
        if (key->tag != INTEGER || (uint64_t)key->integer - 1 >= value->string->length)
            return (struct value){.tag = NIL};
        return (struct value){STRING,
                              {.string = intern(value->string->text + key->integer - 1, 1)}};
    }
    return table_get(as_table(value), key);
}

static struct value new_table(void)
{
    struct value value = {TABLE, {.table = take(sizeof(struct table))}};

    memset(value.table, 0, sizeof *value.table);
    return value;
}

static struct value length_of(const struct value *value)
{
    if (value->tag == STRING)
        return (struct value){INTEGER, {.integer = value->string->length}};
    return (struct value){INTEGER, {.integer = as_table(value)->count}};
}

static inline int is_false(const struct value *value)
{
    return value->tag == NIL || (value->tag == BOOLEAN && !value->integer);
}

/* Where a called function goes back to. */
struct frame {
    uint32_t pc;
    struct value *base;
};

static struct value execute(void)
{
    struct frame frame[200], *caller = frame;
    struct value *base = stack, *top = stack - 1; /* the uppermost value; locals from base on */
    uint32_t pc = 0;

    for (;;) {
        uint32_t word = code[pc++], operand = word >> 8;
        enum op op = word & 0xff;

        switch (op) {
        case OP_CONSTANT:
            *++top = constant[operand];
            break;
        case OP_NIL:
            *++top = (struct value){.tag = NIL};
            break;
        case OP_POP:
            top--;
            break;
        case OP_GET_LOCAL:
            *++top = base[operand];
            break;
        case OP_SET_LOCAL:
            base[operand] = *top--;
            break;
        case OP_GET_GLOBAL:
            *++top = table_get(&globals, &constant[operand]);
            break;
        case OP_SET_GLOBAL:
            table_set(&globals, &constant[operand], top--);
            break;
        case OP_TABLE:
            *++top = new_table();
            break;
        case OP_GET:
            top--;
            *top = index_value(top, top + 1);
            break;
        case OP_SET:
            top -= 3;
            table_set(as_table(top + 1), top + 2, top + 3);
            break;
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
        case OP_MOD:
            top--;
            arithmetic(op, top, top + 1);
            break;
        case OP_CONCAT:
            top--;
            concat(top, top + 1);
            break;
        case OP_EQ:
        case OP_NE:
        case OP_LT:
        case OP_LE:
        case OP_GT:
        case OP_GE:
            top--;
            *top = (struct value){BOOLEAN, {.integer = compare(op, top, top + 1)}};
            break;
        case OP_NOT:
            *top = (struct value){BOOLEAN, {.integer = is_false(top)}};
            break;
        case OP_NEG:
            top[1] = *top;
            *top = (struct value){INTEGER, {.integer = 0}};
            arithmetic(OP_SUB, top, top + 1);
            break;
        case OP_LENGTH:
            *top = length_of(top);
            break;
        case OP_JUMP:
            pc = operand;
            break;
        case OP_JUMP_FALSE:
            if (is_false(top--))
                pc = operand;
            break;
        case OP_AND:
        case OP_OR:
            if (is_false(top) == (op == OP_AND))
                pc = operand;
            else
                top--;
            break;
        case OP_FOR: /* over the jump that leaves the loop */
            pc += !less(&base[operand + 1], &base[operand]);
            break;
        case OP_NEXT:
            base[operand].integer++;
            break;
        case OP_ENTER: /* room for locals behind the arguments */
            top = base + (operand & 0xffff) - 1;
            if (top + 64 > stack + STACK)
                fail("the stack is full");
            break;
        case OP_CALL:
            if (caller == frame + 200 || top[-(int)operand].tag != FUNCTION)
                fail("a function was expected");
            *caller++ = (struct frame){pc, base};
            base = top - operand + 1;
            pc = (uint32_t)base[-1].integer;
            break;
        case OP_RETURN:
            if (caller == frame)
                return *top;
            base[-1] = *top;
            top = base - 1;
            caller--;
            pc = caller->pc;
            base = caller->base;
            break;
        }
    }
}

static uint64_t script(void)
{
    struct value result;

    arena_used = 0;
    memset(interned, 0, sizeof interned);
    memset(&globals, 0, sizeof globals);
    compile(script_text);
    result = execute();
    if (result.tag != STRING)
        fail("the program ended in something else than a string");
    return bench_fold(0, result.string->text, result.string->length);
}

static const struct bench_row rows[] = {
    {"script", "runs", 1, script, NULL, NULL},
};

BENCH_MAIN(rows)
