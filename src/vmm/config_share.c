/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest and its host are to share: sockets. */
#include "vmm/config_text.h"

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
