/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest and its host are to share: sockets, folders. */
#include "vmm/config_text.h"

#include "base/fmt.h"

#include <errno.h>
#include <string.h>

#define CID_MIN 3 /* below are the hypervisor, the guest itself and the host */

static int vsock_item(struct vm_vsock *vsock, const char *key, const char *value, struct err *err)
{
    u64 cid;

    if (!value)
        return config_switch(key, &vsock->enabled, err);
    if (!strcmp(key, "path"))
        return config_copy(vsock->path, sizeof(vsock->path), value, "socket's path", err);
    if (strcmp(key, "guest-cid"))
        return err_set(err, EINVAL, "'%s=' is not known of sockets; give guest-cid= or path=", key);
    if (!config_number(value, strlen(value), &cid) || cid < CID_MIN || cid >= UINT32_MAX)
        return err_set(err, EINVAL, "'guest-cid=%s' is not a guest's number; give %d to %u", value,
                       CID_MIN, UINT32_MAX - 1);
    vsock->cid = (u32)cid;
    return 0;
}

int vm_config_parse_vsock(struct vm_config *config, const char *value, struct err *err)
{
    struct vm_vsock vsock = {.enabled = true, .chosen = true};
    struct config_list list = {.rest = value};
    int rc;

    while ((rc = config_list_next(&list, err)) > 0) {
        rc = vsock_item(&vsock, list.item, list.value, err);
        if (rc)
            return rc;
    }
    if (!rc)
        config->vsock = vsock;
    return rc;
}

static int volume_item(struct vm_share *s, const char *key, const char *value, struct err *err)
{
    u64 id;

    if (!strcmp(key, "tag"))
        return config_copy(s->tag, sizeof(s->tag), value, "folder's tag", err);
    if (strcmp(key, "uid"))
        return err_set(err, EINVAL,
                       "'%s=' is not known of a shared folder; give tag= or uid=", key);
    if (!config_number(value, strlen(value), &id) || id >= UINT32_MAX)
        return err_set(err, EINVAL, "'uid=%s' is not a user's number", value);
    s->uid = s->gid = (u32)id;
    return 0;
}

/* FOLDER[:PLACE][:ro]; a folder with a colon in its name cannot be told. */
static int volume_where(struct vm_share *s, char *text, struct err *err)
{
    char *place = strchr(text, ':'), *how = place ? strchr(place + 1, ':') : NULL;
    int rc;

    if (place)
        *place++ = '\0';
    if (place && (!strcmp(place, "ro") || !strcmp(place, "rw"))) {
        how = place;
        place = NULL;
    } else if (how) {
        *how++ = '\0';
    }
    if (how && strcmp(how, "ro") && strcmp(how, "rw"))
        return err_set(err, EINVAL, "'%s' is neither ro nor rw; give FOLDER:PLACE[:ro]", how);
    s->readonly = how && !strcmp(how, "ro");
    if (place && *place != '/')
        return err_set(err, EINVAL, "'%s' is no absolute path in the guest; give FOLDER:/PLACE",
                       place);
    rc = config_copy(s->folder, sizeof(s->folder), text, "folder's path", err);
    return rc || !place ? rc : config_copy(s->place, sizeof(s->place), place, "place", err);
}

int vm_config_parse_volume(struct vm_config *config, const char *value, struct err *err)
{
    struct vm_share s = {.uid = VM_SHARE_USER, .gid = VM_SHARE_USER};
    struct config_list list = {.rest = value};
    int rc;

    if (config->share_count == VM_SHARES_MAX)
        return err_set(err, EINVAL, "'%s' is one folder too many; there may be %d", value,
                       VM_SHARES_MAX);
    while ((rc = config_list_next(&list, err)) > 0) {
        if (list.value && *s.folder)
            rc = volume_item(&s, list.item, list.value, err);
        else if (!*s.folder && !list.value)
            rc = volume_where(&s, list.item, err);
        else
            rc = err_set(err, EINVAL, "'%s' is not understood; give FOLDER:PLACE[:ro][,tag=T]",
                         list.item);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    if (!*s.folder)
        return err_set(err, EINVAL, "no folder is named; give FOLDER:PLACE[:ro]");
    if (!*s.tag)
        fmt_print(s.tag, sizeof(s.tag), "share%u", config->share_count);
    for (u32 i = 0; i < config->share_count; i++) {
        if (!strcmp(config->share[i].tag, s.tag))
            return err_set(err, EINVAL, "two folders have the tag '%s'; give each its own", s.tag);
    }
    config->share[config->share_count++] = s;
    return 0;
}
