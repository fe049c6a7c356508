/* SPDX-License-Identifier: BSD-2-Clause */
/* What an image of cosm-metal is made of, for people who must account for it. */
#include "plan/manifest.h"

#include "api/json.h"
#include "base/fmt.h"
#include "metal/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_MAX 1024 /* bytes of JSON for a package */

void plan_hex(const u8 *bytes, size_t size, char *text)
{
    *text = '\0';
    for (size_t i = 0; i < size; i++)
        fmt_print(text + 2 * i, 3, "%02x", bytes[i]);
}

static void put(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

struct package {
    const char *id, *name, *version, *purpose, *comment; /* NULL: none */
    const u8 *sha256;
};

static void put_package(struct json_out *out, const struct package *p)
{
    char digest[2 * SHA256_SIZE + 1];

    plan_hex(p->sha256, SHA256_SIZE, digest);
    json_open(out, '{');
    put(out, "SPDXID", p->id);
    put(out, "name", p->name);
    if (p->version)
        put(out, "versionInfo", p->version);
    put(out, "downloadLocation", "NOASSERTION");
    put(out, "primaryPackagePurpose", p->purpose);
    if (p->comment)
        put(out, "comment", p->comment);
    json_key(out, "checksums");
    json_open(out, '[');
    json_open(out, '{');
    put(out, "algorithm", "SHA256");
    put(out, "checksumValue", digest);
    json_close(out, '}');
    json_close(out, ']');
    json_close(out, '}');
}

static void put_images(struct json_out *out, const struct plan *plan)
{
    for (u32 i = 0; i < plan->image_count; i++) {
        const struct plan_image *image = &plan->image[i];
        char id[32], comment[96];

        fmt_print(id, sizeof(id), "SPDXRef-Image-%u", i);
        fmt_print(comment, sizeof(comment), "%llu bytes at 0x%llx of partition %s",
                  (unsigned long long)image->size, (unsigned long long)image->gpa,
                  plan->partition[image->partition].name);
        put_package(out, &(struct package){.id = id,
                                           .name = image->name,
                                           .purpose = "OTHER",
                                           .comment = comment,
                                           .sha256 = image->sha256});
    }
}

static void put_relations(struct json_out *out, const struct plan *plan)
{
    char id[32];

    json_key(out, "relationships");
    json_open(out, '[');
    for (u32 i = 0; i < plan->image_count + 2; i++) {
        if (i < 2)
            fmt_print(id, sizeof(id), "SPDXRef-%s", i ? "Configuration" : "Core");
        else
            fmt_print(id, sizeof(id), "SPDXRef-Image-%u", i - 2);
        json_open(out, '{');
        put(out, "spdxElementId", "SPDXRef-Whole");
        put(out, "relationshipType", "CONTAINS");
        put(out, "relatedSpdxElement", id);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_all(struct json_out *out, const struct plan *plan, const struct plan_core *core,
                    const u8 whole[SHA256_SIZE], const char *version)
{
    const char *slash = strrchr(plan->path, '/');
    char space[96] = "urn:cosm:metal:";

    plan_hex(whole, SHA256_SIZE, space + strlen(space));
    json_open(out, '{');
    put(out, "spdxVersion", "SPDX-2.3");
    put(out, "dataLicense", "CC0-1.0");
    put(out, "SPDXID", "SPDXRef-DOCUMENT");
    put(out, "name", "cosm-metal");
    put(out, "documentNamespace", space);
    json_key(out, "packages");
    json_open(out, '[');
    put_package(out, &(struct package){.id = "SPDXRef-Whole",
                                       .name = "cosm-metal.bin",
                                       .purpose = "FIRMWARE",
                                       .sha256 = whole});
    put_package(out, &(struct package){.id = "SPDXRef-Core",
                                       .name = "cosm-metal",
                                       .version = version,
                                       .purpose = "OPERATING-SYSTEM",
                                       .comment = "as memory holds it, before its configuration is "
                                                  "put in",
                                       .sha256 = core->sha256});
    put_package(out, &(struct package){.id = "SPDXRef-Configuration",
                                       .name = slash ? slash + 1 : plan->path,
                                       .purpose = "SOURCE",
                                       .sha256 = plan->source_sha256});
    put_images(out, plan);
    json_close(out, ']');
    put_relations(out, plan);
    json_close(out, '}');
}

int plan_manifest(const struct plan *plan, const struct plan_core *core, const u8 *image,
                  u64 image_size, const char *version, char **text, struct err *err)
{
    const size_t room = ENTRY_MAX * (8 + plan->image_count) + 6 * strlen(plan->path);
    struct json_out out;
    struct sha256 sum;
    u8 whole[SHA256_SIZE];

    *text = malloc(room);
    if (!*text)
        return err_set(err, ENOMEM, "no memory for a manifest");
    sha256_init(&sum);
    sha256_update(&sum, image, image_size);
    sha256_final(&sum, whole);
    json_out_init(&out, *text, room - 1);
    put_all(&out, plan, core, whole, version);
    memcpy(*text + out.len, "\n", 2);
    return 0;
}
