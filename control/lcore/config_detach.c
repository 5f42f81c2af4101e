/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration without its host: for programs that play its gateway elsewhere. */
#include <stdlib.h>

#include "config_int.h"
#include "sl_json.h"

#define SHORT_NAME 8 /* of a key, as the gateway names a peer without a name */
#define PORT_MTU_MAX 9216

/** A peer keeps the name that its real key would give it. */
static int
keep_name(json_t *peer)
{
	char name[SHORT_NAME + 1];

	if (sl_json_text(peer, "name")[0])
		return 0;
	snprintf(name, sizeof(name), "%s", sl_json_text(peer, "public_key"));
	for (char *p = name; *p; p++)
		if (*p == '+' || *p == '/')
			*p = '_';
	return json_object_set_new(peer, "name", json_string(name)) ? -ENOMEM : 0;
}

static int
detach_peer(json_t *peer, const struct sl_config_detach *d)
{
	static const char *const drop[] = {"preshared_key_file", "endpoint",
					   "persistent_keepalive"};
	char text[SL_KEY_B64_LEN + 1];
	struct sl_pubkey key;

	if (keep_name(peer))
		return -ENOMEM;
	d->peer_key(d->ctx, sl_json_text(peer, "interface"), sl_json_text(peer, "name"), &key);
	sl_key_to_base64(key.b, text);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(drop); i++)
		json_object_del(peer, drop[i]);
	return json_object_set_new(peer, "public_key", json_string(text)) ? -ENOMEM : 0;
}

static int
detach_interface(json_t *iface, const struct sl_config_detach *d)
{
	int rc;

	json_object_del(iface, "private_key_file");
	rc = json_object_set_new(iface, "key_store", json_string("memory"));
	if (rc == 0 && d->mtu)
		rc = json_object_set_new(iface, "mtu", json_integer(d->mtu));
	return rc ? -ENOMEM : 0;
}

static int
detach_port(struct sl_config_port *p, unsigned n, const struct sl_config_detach *d)
{
	char device[64];
	char *copy;

	d->device(n, device, sizeof(device));
	copy = strdup(device);
	if (!copy)
		return -ENOMEM;
	free((void *)(uintptr_t)p->port.device);
	p->port.device = copy;
	p->port.rxq = 0;
	p->port.txq = 0;
	if (d->mtu)
		p->port.mtu = PORT_MTU_MAX;
	return 0;
}

static void
forget(char **text)
{
	free(*text);
	*text = NULL;
}

int
sl_config_detach(struct sl_config *c, const struct sl_config_detach *d, struct sl_error *e)
{
	int rc = 0;

	forget(&c->state_dir);
	forget(&c->run_dir);
	forget(&c->user);
	forget(&c->rpc_socket);
	forget(&c->rpc_socket_group);
	sl_config_cp_free(c->cp);
	c->cp = NULL;
	c->has_rpc_tcp = false;
	sl_remote_conf_clear(&c->remote);
	c->metrics.on = false;
	c->uapi = false;
	c->hugepages = SL_HUGE_OFF;
	c->memory_mb = 0;
	c->mbufs = 0;
	c->allow_unlocked_keys = true;
	for (unsigned i = 0; rc == 0 && i < c->n_ports; i++)
		rc = detach_port(&c->ports[i], i, d);
	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		struct sl_config_call *call = &c->calls[i];

		if (strcmp(call->method, "peer.set") == 0)
			rc = detach_peer(call->params, d);
		else if (strcmp(call->method, "interface.set") == 0)
			rc = detach_interface(call->params, d);
		else if (strcmp(call->method, "sys.log_level.set") == 0)
			rc = json_object_set_new(call->params, "level", json_string("err"))
				     ? -ENOMEM
				     : 0;
	}
	return rc ? sl_fail(e, rc, "no_memory", "", "no memory for the configuration") : 0;
}
