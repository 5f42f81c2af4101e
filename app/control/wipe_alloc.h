/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Memory of libevent, OpenSSL and jansson is wiped when it is given back: a token, or a key
 * that somebody sent although it is refused, does not outlive its request. */
#ifndef SL_CONTROL_WIPE_ALLOC_H
#define SL_CONTROL_WIPE_ALLOC_H

/** Before any of them is used. */
void wipe_alloc_init(void);

#endif
