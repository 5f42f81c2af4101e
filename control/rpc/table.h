/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the gateway answers, as text for people: JSON arrays of objects in aligned columns, results
 * of methods in the view that suits them. Shared by the console and sluicectl. Pure but for the
 * wall clock in sl_view_text(); any thread.
 */
#ifndef SL_TABLE_H
#define SL_TABLE_H

#include <jansson.h>

#include "sl_base.h"

/** How a value is written; all but TEXT are right-aligned. */
enum sl_cell {
	SL_CELL_TEXT,	 /* strings, lists with commas, yes and no */
	SL_CELL_NUMBER,	 /* as it is */
	SL_CELL_BYTES,	 /* 1.50 MiB */
	SL_CELL_BPS,	 /* 1.50 Mbit/s */
	SL_CELL_MS,	 /* 1,500 -> 1.5 s */
	SL_CELL_SECONDS, /* 90 -> 1 min 30 s */
	SL_CELL_SINCE,	 /* Unix seconds -> 12 s ago */
	SL_CELL_UNTIL,	 /* Unix seconds -> in 12 s */
};

/** Whether a column is left out of a table that shall fit a terminal. */
enum sl_table_show {
	SL_TABLE_ALWAYS,
	SL_TABLE_WIDE, /* only in a wide table */
};

struct sl_table_column {
	const char *key;   /* member, A/B of a nested one; NULL ends a list of columns */
	const char *title; /* NULL: the key with spaces for '_' */
	enum sl_cell format;
	enum sl_table_show show;
};

/**
 * @param rows array of objects; a member that is absent leaves its cell empty ("-")
 * @param columns NULL: every member of the rows, in the order of the first row
 * @param wide all columns, those too that only a wide table has
 * @param now Unix seconds, for SL_CELL_SINCE and SL_CELL_UNTIL
 * @return malloc'ed lines, title first; NULL without memory
 */
char *sl_table_text(const json_t *rows, const struct sl_table_column *columns, bool wide,
		    int64_t now);

/** One value as a cell shows it; control characters become '?'. @return malloc'ed, NULL without
 * memory */
char *sl_cell_text(const json_t *value, enum sl_cell format, int64_t now);

/**
 * The result of a method for people.
 * @param wide tables with all their columns
 * @return malloc'ed lines, NULL without memory
 */
char *sl_view_text(const char *method, const json_t *result, bool wide);

#endif
