/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_drop.h"

static const char *const drop_text[] = {
#define X(name, text, why) text,
	SL_DROP_LIST(X)
#undef X
};

static const char *const drop_why[] = {
#define X(name, text, why) why,
	SL_DROP_LIST(X)
#undef X
};

const char *
sl_drop_text(unsigned reason)
{
	return reason < SL_DROP_MAX ? drop_text[reason] : "invalid";
}

const char *
sl_drop_why(unsigned reason)
{
	return reason < SL_DROP_MAX ? drop_why[reason] : "not a drop reason";
}
