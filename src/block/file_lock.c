/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks of disk images, and who holds them.
 *
 * They are locks of open file descriptions, so they go when the last descriptor does, however the
 * process ends. A writer locks the whole file. A reader locks single bytes, those by which QEMU's
 * tools say that they read (100) and want no writer (201) and nobody who resizes (203); a QEMU that
 * writes holds byte 101.
 */
#include "block/file_lock.h"

#include "base/fmt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define QEMU_READS      100
#define QEMU_WRITES     101
#define QEMU_NO_WRITERS 201
#define QEMU_NO_RESIZE  203

/* Does the text of a /proc/PID/fdinfo file tell of a lock on this file? */
static bool fdinfo_has_lock(const char *path, const char *file)
{
    FILE *info = fopen(path, "re");
    char line[256];
    bool found = false;

    while (info && !found && fgets(line, sizeof(line), info))
        found = !strncmp(line, "lock:", 5) && strstr(line, file);
    if (info)
        fclose(info);
    return found;
}

static bool process_has_lock(long pid, const char *file)
{
    char folder[64], path[sizeof(folder) + 256 + 1];
    bool found = false;
    struct dirent *entry;
    DIR *dir;

    fmt_print(folder, sizeof(folder), "/proc/%ld/fdinfo", pid);
    dir = opendir(folder);
    while (dir && !found && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        fmt_print(path, sizeof(path), "%s/%s", folder, entry->d_name);
        found = fdinfo_has_lock(path, file);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* The process that holds a lock on fd's file, or 0: unknown, as other users' processes are. */
static long lock_holder(int fd)
{
    char file[64];
    struct dirent *entry;
    struct stat st;
    long holder = 0;
    DIR *proc;

    if (fstat(fd, &st))
        return 0;
    /* As the kernel writes it: device numbers of two digits at least, then the inode. */
    snprintf(file, sizeof(file), " %02x:%02x:%lu ", major(st.st_dev), minor(st.st_dev),
             (unsigned long)st.st_ino);
    proc = opendir("/proc");
    while (proc && !holder && (entry = readdir(proc))) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid > 0 && process_has_lock(pid, file))
            holder = pid;
    }
    if (proc)
        closedir(proc);
    return holder;
}

/* The name of a program, as it calls itself: "qemu-img"; nothing that a terminal acts on. */
static void process_name(long pid, char *name, size_t room)
{
    char path[64];
    FILE *file;

    *name = '\0';
    fmt_print(path, sizeof(path), "/proc/%ld/comm", pid);
    file = fopen(path, "re");
    if (file && !fgets(name, (int)room, file))
        *name = '\0';
    if (file)
        fclose(file);
    name[strcspn(name, "\n")] = '\0';
    for (; *name; name++)
        if (*name < ' ' || *name > '~')
            *name = '?';
}

static int lock_busy(int fd, const char *path, file_holder_fn name_holder, struct err *err)
{
    long pid = lock_holder(fd);
    char name[32] = "", vm[96] = "", holder[192];

    if (!pid)
        return err_set(err, EBUSY,
                       "disk image '%s' is in use by another program; end that program, or let "
                       "both use it read-only",
                       path);
    process_name(pid, name, sizeof(name));
    if (name_holder && pid != getpid() && name_holder(pid, vm, sizeof(vm)))
        fmt_print(holder, sizeof(holder), "the VM '%s' (process %ld)", vm, pid);
    else
        fmt_print(holder, sizeof(holder), "process %ld%s%s%s", pid, *name ? " (" : "", name,
                  *name ? ")" : "");
    return err_set(err, EBUSY,
                   "disk image '%s' is in use by %s; end it, or let both use the image read-only",
                   path, pid == getpid() ? "this command itself, a second time" : holder);
}

static int lock_range(int fd, short type, off_t start, off_t len)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

    if (!fcntl(fd, F_OFD_SETLK, &lock))
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY
                                              : 0; /* no locks here: none of our business */
}

static bool lock_is_taken(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

int file_lock(int fd, const char *path, const struct file_options *options, struct err *err)
{
    int ret;

    if (!options->readonly) {
        ret = lock_range(fd, F_WRLCK, 0, 0);
        return ret ? lock_busy(fd, path, options->name_holder, err) : 0;
    }
    ret = lock_range(fd, F_RDLCK, QEMU_READS, 1);
    if (!ret)
        ret = lock_range(fd, F_RDLCK, QEMU_NO_WRITERS, 1);
    if (!ret)
        ret = lock_range(fd, F_RDLCK, QEMU_NO_RESIZE, 1);
    return ret || lock_is_taken(fd, QEMU_WRITES) ? lock_busy(fd, path, options->name_holder, err)
                                                 : 0;
}
