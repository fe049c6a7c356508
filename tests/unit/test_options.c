/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line's parser and what the option table promises about itself. */
#include "apps/cosm/options.h"
#include "tests/test.h"

static struct options options;
static struct err err;

/* Parses "run -m 1G": words between spaces; text is modified. */
static int parse(const char *text)
{
    static char line[8192];
    static char *argv[64];
    int argc = 1;

    argv[0] = (char *)"cosm";
    snprintf(line, sizeof(line), "%s", text);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    err.msg[0] = '\0';
    return options_parse(&options, argc, argv, &err);
}

static bool refused(const char *text, const char *part)
{
    if (parse(text) < 0 && strstr(err.msg, part) && !strchr(err.msg, '\n'))
        return true;
    printf("# cosm %s: '%s'\n", text, err.msg);
    return false;
}

TEST(values)
{
    CHECK_EQ(parse("run --kernel Image --initrd=x.cpio -a quiet -m 1G --smp=4 --no-reboot"), 0);
    CHECK_EQ(options.command, COMMAND_RUN);
    CHECK_STR(options.config.kernel, "Image");
    CHECK_STR(options.config.initrd, "x.cpio");
    CHECK_STR(options.config.append, "quiet");
    CHECK_EQ(options.config.ram_size, GIB);
    CHECK_EQ(options.config.hart_count, 4);
    CHECK(options.config.no_reboot);
    CHECK_EQ(parse("run -kImage -m512M"), 0);
    CHECK_STR(options.config.kernel, "Image");
    CHECK_EQ(options.config.ram_size, 512 * MIB);
    CHECK_EQ(parse("run -k Image -m 1G -m 2G"), 0); /* the last one holds */
    CHECK_EQ(options.config.ram_size, 2 * GIB);
    CHECK_EQ(parse("ps -aq"), 0);
    CHECK(options.all && options.quiet);
    CHECK(refused("ps -ax", "'-ax'"));
    CHECK_EQ(parse("stop -t5 a b"), 0);
    CHECK_EQ(options.time_s, 5);
    CHECK_EQ(options.operands, 2);
    CHECK_EQ(parse("run -k Image --append="), 0);
    CHECK_STR(options.config.append, "");
}

/* What stands behind the name is the guest's, whatever it looks like. */
TEST(commands_of_the_guest)
{
    CHECK_EQ(parse("exec -w 5 -u joe web -- ls -la --help -- x"), 0);
    CHECK_EQ(options.wait_s, 5);
    CHECK_STR(options.user, "joe");
    CHECK_EQ(options.operands, 6);
    CHECK_STR(options.operand[0], "web");
    CHECK_STR(options.operand[1], "ls");
    CHECK_STR(options.operand[3], "--help");
    CHECK_STR(options.operand[4], "--");
    CHECK(!options.help);
    CHECK_EQ(parse("exec web ls -w 5"), 0);
    CHECK_EQ(options.operands, 4);
    CHECK_EQ(options.wait_s, 120);
    CHECK(refused("exec web", "COMMAND"));
    CHECK(refused("exec", "which VM"));
    CHECK_EQ(parse("ssh web -L 80:localhost:80"), 0);
    CHECK_EQ(options.operands, 3);
    CHECK_EQ(parse("cp -q a b web:/c"), 0);
    CHECK(options.quiet);
    CHECK_EQ(options.operands, 3);
    CHECK_EQ(parse("connect web 22"), 0);
    CHECK_EQ(options.wait_s, 0);
    CHECK(refused("connect web 22 23", "too many"));
    CHECK(refused("connect web", "PORT"));
}

TEST(spellings_of_qemu)
{
    CHECK_EQ(parse("run -kernel Image -append ro -initrd i -bios none -smp cpus=2 -m 64 -nographic "
                   "-M virt -drive file=a.img,format=raw,if=none,id=d -s -S -no-reboot -cpu rv64"),
             0);
    CHECK_STR(options.config.kernel, "Image");
    CHECK_STR(options.config.append, "ro");
    CHECK_EQ(options.config.hart_count, 2);
    CHECK_EQ(options.config.ram_size, 64 * MIB);
    CHECK_EQ(options.config.drive_count, 1);
    CHECK(options.config.gdb.enabled);
    CHECK(options.config.paused);
    CHECK(options.config.no_reboot);
    CHECK_EQ(parse("run -machine virt -kernel k -gdb tcp::99"), 0);
    CHECK_EQ(options.config.gdb.port, 99);
}

TEST(optional_values)
{
    CHECK_EQ(parse("run --gdb -k Image"), 0);
    CHECK_EQ(options.config.gdb.port, 1234);
    CHECK_EQ(parse("run -k Image --gdb :99 --stats"), 0);
    CHECK_EQ(options.config.gdb.port, 99);
    CHECK_EQ(options.config.stats, VM_STATS_TEXT);
    CHECK_EQ(parse("run -k Image --gdb=:98 --stats=json"), 0);
    CHECK_EQ(options.config.gdb.port, 98);
    CHECK_EQ(options.config.stats, VM_STATS_JSON);
    CHECK_EQ(parse("run -k Image --stats --json"), 0);
    CHECK_EQ(options.config.stats, VM_STATS_JSON);
}

TEST(commands)
{
    CHECK_EQ(parse("--help"), 0);
    CHECK(options.help);
    CHECK_EQ(options.command, COMMAND_NONE);
    CHECK_EQ(parse("--version"), 0);
    CHECK(options.version);
    CHECK_EQ(parse("version"), 0);
    CHECK_EQ(options.command, COMMAND_VERSION);
    CHECK_EQ(parse("help run"), 0);
    CHECK_EQ(options.topic, COMMAND_RUN);
    CHECK_EQ(parse("run --help"), 0); /* though there is nothing to run */
    CHECK(options.help);
    CHECK_EQ(parse("help --format=man run"), 0);
    CHECK_EQ(options.format, FORMAT_MAN);
}

TEST(nearest_names)
{
    CHECK(refused("run --kernal x", "mean --kernel"));
    CHECK(refused("run -kernal x", "mean --kernel"));
    CHECK(refused("run --kernle=x", "mean --kernel"));
    CHECK(refused("run --init x", "mean --initrd"));
    CHECK(refused("run --memroy 1G", "mean --memory"));
    CHECK(refused("run --dumpdtb x", "mean --dump-dtb"));
    CHECK(refused("run --quite", "run --help"));
    CHECK(refused("rnu", "mean run"));
    CHECK(refused("hepl", "mean help"));
    CHECK(refused("frobnicate", "cosm --help"));
    CHECK(refused("help frobnicate", "frobnicate"));
    CHECK(refused("--kernel x", "cosm run --kernel"));
}

TEST(usage_errors)
{
    char lengthy[6000];

    CHECK(refused("", "no command"));
    CHECK(refused("run", "--kernel"));
    CHECK(refused("run -k", "needs a value"));
    CHECK(refused("run --kernel=", "needs a value"));
    CHECK(refused("run -k x --no-reboot=1", "takes no value"));
    CHECK(refused("run -k x disk.img", "stands alone"));
    CHECK(refused("run -k x -m 1x", "--memory: '1x'"));
    CHECK(refused("run -k x --smp 99", "--smp: '99'"));
    CHECK(refused("run -k x -", "stands alone"));
    CHECK(refused("run -k x -- --smp", "stands alone"));
    CHECK(refused("run -k x -Z", "unknown option '-Z'"));
    CHECK_EQ(parse("run -k x --"), 0);
    CHECK(refused("version now", "too many"));
    CHECK(refused("help --format=html", "not a format"));
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    memcpy(lengthy, "run --", 6);
    CHECK(refused(lengthy, "unknown option"));
    memcpy(lengthy, "run -m ", 7);
    CHECK(refused(lengthy, "--memory"));
}

/* What a table can get wrong without anybody noticing. */
TEST(table_is_sound)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_info *o = &option_table[i];
        size_t len = strlen(o->help);

        CHECK(len && o->help[len - 1] == '.');
        CHECK(!o->fallback || o->argument);
        CHECK((o->action.kind != ACT_STRING && o->action.kind != ACT_PARSE) || o->argument);
        for (size_t j = 0; j < i; j++) {
            const struct option_info *p = &option_table[j];

            if (!(o->commands & p->commands))
                continue;
            CHECK(strcmp(o->name, p->name));
            CHECK(!o->key || o->key != p->key);
        }
    }
    for (size_t i = 0; i < example_count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "cosm %s", command_table[example_table[i].command].name);
        CHECK(!strncmp(example_table[i].line, name, strlen(name)));
    }
}

/* The examples must be command lines that are taken. */
TEST(examples_parse)
{
    for (size_t i = 0; i < example_count; i++) {
        char line[512];
        char *quote;

        snprintf(line, sizeof(line), "%s", example_table[i].line + 5);
        /* As a shell would: a quoted text is one word. */
        for (quote = strchr(line, '\''); quote && *quote && *++quote != '\'';)
            *quote = *quote == ' ' ? '_' : *quote;
        CHECK_EQ(parse(line), 0);
        if (err.msg[0])
            printf("# %s: %s\n", line, err.msg);
    }
}

TEST_MAIN()
