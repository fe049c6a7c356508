/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debian's archive through the machine's own apt-get, on a root of its own in the user's cache: no
 * privileges, the system's state is left alone. The mirror is the one that the machine's apt takes
 * its Debian from; proxies and the like come from the machine's configuration, too. What is not
 * signed by the keys of the package debian-archive-keyring is refused by apt.
 */
#ifndef COSM_STORE_APT_H
#define COSM_STORE_APT_H

#include "store/place.h"
#include "store/progress.h"

#define APT_URI_MAX      512
#define APT_NAME_MAX     128
#define APT_VERSION_MAX  96
#define APT_PACKAGES_MAX 4096

struct apt {
    char suite[32];
    char suites[80]; /* and, behind a space, what has its updates, where it has any */
    char root[PLACE_MAX];
    char config[PLACE_MAX];   /* "APT_CONFIG=..." */
    char mirror[APT_URI_MAX]; /* of the archive */
    char options[64]; /* lines of sources.list(5) that say what the machine does not ask of mirrors
                       */
    char security[APT_URI_MAX]; /* of its security updates; "": the machine, or it, has none */
};

/* A package as the archive has it. */
struct apt_package {
    char name[APT_NAME_MAX];
    char version[APT_VERSION_MAX];
    char file[256]; /* in apt_archives */
    u64 size;       /* bytes */
};

struct apt_list {
    struct apt_package *package; /* malloc'ed */
    u32 count;
    u64 size; /* of all */
};

/* Sets up the root for a suite, as in "trixie", and architecture riscv64. */
MUST_CHECK int apt_open(struct apt *apt, const char *suite, struct err *err);

/*
 * Gets the lists of packages, of the release and its updates. Where the mirror's are damaged, as
 * mirrors now and then are between two states, older ones stay in use, which is told as a warning;
 * -EAGAIN: there are none.
 */
MUST_CHECK int apt_update(const struct apt *apt, const struct progress *progress, struct err *err);

/*
 * What must be there to have those packages (count names, or patterns of apt-patterns(7)) on an
 * empty system, without what is merely recommended. The caller frees with apt_list_free.
 */
MUST_CHECK int apt_resolve(const struct apt *apt, const char *const *names, u32 count,
                           struct apt_list *list, struct err *err);
void apt_list_free(struct apt_list *list);
/* NULL: it is not among them. */
const struct apt_package *apt_list_find(const struct apt_list *list, const char *name);

/* Has their files in apt_archives, those that are there already included. */
MUST_CHECK int apt_download(const struct apt *apt, const char *const *names, u32 count,
                            const struct progress *progress, struct err *err);
MUST_CHECK int apt_file(const struct apt *apt, const struct apt_package *package,
                        char path[PLACE_MAX], struct err *err);

#endif
