/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Let the n-th allocation fail. Needs the linker's --wrap for the four functions.
 */
#ifndef ALLOC_LIMIT_H
#define ALLOC_LIMIT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static int allocations_left = -1; /* -1: no limit */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);

static bool
refuse(void)
{
	if (allocations_left < 0)
		return false;
	return allocations_left == 0 || allocations_left-- == 0;
}

void *
__wrap_malloc(size_t n)
{
	return refuse() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return refuse() ? NULL : __real_realloc(p, n);
}

int
__wrap_posix_memalign(void **p, size_t align, size_t n)
{
	return refuse() ? ENOMEM : __real_posix_memalign(p, align, n);
}

#endif
