/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The files of a backup: backup_list.c finds them, backup.c keeps them, backup_restore.c
 * puts them back. */
#ifndef SL_BACKUP_INT_H
#define SL_BACKUP_INT_H

#include <sys/stat.h>

#include "sl_backup.h"

#define BACKUP_MAGIC "sluice-gateway-backup 1\n"
#define BACKUP_SUM 32
#define BACKUP_NAME 192
#define BACKUP_PATH 512
#define BACKUP_FILE_MAX (256U << 20)
#define BACKUP_MODES "state/authz-mode.json"
#define BACKUP_REVOKED "state/control-revoked"

struct backup_item {
	char name[BACKUP_NAME]; /* "state/policy.json", "key/wg0", "psk/wg0/alice" */
	char dir[BACKUP_PATH], base[BACKUP_PATH];
	mode_t mode;
	bool in_state; /* belongs to who owns the state directory */
	bool must;     /* the configuration names it */
	bool there;
	char *data; /* wiped when freed */
	size_t len;
	struct stat st;
};

struct backup_list {
	struct backup_item *v;
	unsigned n, room;
};

/** Every file that this configuration may have; a preshared key of a control plane's peer only if
 * it is there. -ENAMETOOLONG, -ENOMEM */
int backup_list_make(const struct sl_config *c, struct backup_list *l, struct sl_error *e);
/** Add a preshared key of a control plane's peer by its name. -EINVAL: no such name can be */
int backup_list_add_psk(const struct sl_config *c, struct backup_list *l, const char *base,
			struct sl_error *e);
struct backup_item *backup_list_find(const struct backup_list *l, const char *name);
/** Read what is there; -ENOENT key_file: one that must be there is not. */
int backup_list_read(struct backup_list *l, struct sl_error *e);
/** Is each file still the one that was read? */
bool backup_list_same(const struct backup_list *l);
void backup_list_clear(struct backup_list *l);
/** Directory and last part. -ENAMETOOLONG */
int backup_split(const char *path, char dir[BACKUP_PATH], char base[BACKUP_PATH],
		 struct sl_error *e);

#endif
