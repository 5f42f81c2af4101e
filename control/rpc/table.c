/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells and aligned columns. */
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_text.h"

#define COLUMNS_MAX 32
#define GAP 2

/** Units of 1,024 or 1,000: value below the next unit with two to three digits. */
static void
scaled(FILE *f, double v, double base, const char *const *unit, unsigned n)
{
	unsigned i = 0;

	while (v >= base && i + 1 < n) {
		v /= base;
		i++;
	}
	fprintf(f, "%.*f %s", i == 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2, v, unit[i]);
}

static void
write_seconds(FILE *f, int64_t s)
{
	if (s < 60)
		fprintf(f, "%" PRId64 " s", s);
	else if (s < 3600)
		fprintf(f, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		fprintf(f, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		fprintf(f, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
}

static void
write_plain(FILE *f, const json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;
	bool first = true;

	switch (json_typeof(v)) {
	case JSON_STRING:
		sl_text_put(f, json_string_value(v));
		break;
	case JSON_INTEGER:
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		fprintf(f, "%.1f", json_real_value(v));
		break;
	case JSON_TRUE:
		fputs("yes", f);
		break;
	case JSON_FALSE:
		fputs("no", f);
		break;
	case JSON_ARRAY:
		json_array_foreach (v, i, item) {
			if (i)
				fputc(',', f);
			write_plain(f, item);
		}
		break;
	case JSON_OBJECT:
		json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
			if (json_is_array(item) && json_array_size(item) == 0)
				continue;
			if (!first)
				fputc(' ', f);
			/* the first member names the object, the others say what they are */
			if (!first)
				fprintf(f, "%s ", key);
			write_plain(f, item);
			first = false;
		}
		break;
	default:
		break;
	}
}

static void
write_cell(FILE *f, const json_t *v, enum sl_cell format, int64_t now)
{
	static const char *const bytes[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	static const char *const bits[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
	int64_t n = json_integer_value(v);

	if (!v || json_is_null(v) || ((json_is_array(v)) && json_array_size(v) == 0)) {
		fputc('-', f);
		return;
	}
	if (json_is_real(v) && format == SL_CELL_MS) {
		fprintf(f, "%.1f ms", json_real_value(v));
		return;
	}
	if (!json_is_integer(v)) {
		write_plain(f, v);
		return;
	}
	switch (format) {
	case SL_CELL_BYTES:
		scaled(f, (double)n, 1024, bytes, SL_ARRAY_SIZE(bytes));
		break;
	case SL_CELL_BPS:
		scaled(f, (double)n, 1000, bits, SL_ARRAY_SIZE(bits));
		break;
	case SL_CELL_MS:
		if (n < 10000)
			fprintf(f, "%.1f s", (double)n / 1000);
		else
			write_seconds(f, n / 1000);
		break;
	case SL_CELL_SECONDS:
		write_seconds(f, n);
		break;
	case SL_CELL_SINCE:
		write_seconds(f, SL_MAX(now - n, (int64_t)0));
		fputs(" ago", f);
		break;
	case SL_CELL_UNTIL:
		fputs("in ", f);
		write_seconds(f, SL_MAX(n - now, (int64_t)0));
		break;
	default:
		fprintf(f, "%" PRId64, n);
		break;
	}
}

char *
sl_cell_text(const json_t *value, enum sl_cell format, int64_t now)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	write_cell(f, value, format, now);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/** Characters of UTF-8 text. */
static unsigned
width_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct grid {
	struct sl_table_column col[COLUMNS_MAX];
	unsigned n_cols;
	size_t n_rows;
	char **cell; /* titles, then rows */
	unsigned width[COLUMNS_MAX];
	bool right[COLUMNS_MAX];
};

/** Of the columns those that are to be shown. */
static void
choose_columns(struct grid *g, const struct sl_table_column *columns, bool wide)
{
	for (; columns->key && g->n_cols < COLUMNS_MAX; columns++)
		if (wide || columns->show == SL_TABLE_ALWAYS)
			g->col[g->n_cols++] = *columns;
}

/** Columns are the members of the rows, in order of appearance. */
static void
columns_of(struct grid *g, const json_t *rows)
{
	const char *key;
	json_t *row, *item;
	size_t i;

	json_array_foreach (rows, i, row) {
		json_object_foreach (row, key, item) {
			unsigned j = 0;

			while (j < g->n_cols && strcmp(g->col[j].key, key))
				j++;
			if (j == g->n_cols && g->n_cols < COLUMNS_MAX)
				g->col[g->n_cols++] =
					(struct sl_table_column){key, NULL,
								 json_is_integer(item)
									 ? SL_CELL_NUMBER
									 : SL_CELL_TEXT};
		}
	}
}

static char *
title_of(const struct sl_table_column *c)
{
	char *t = strdup(c->title ? c->title : c->key);

	for (char *p = t; p && *p && !c->title; p++)
		if (*p == '_')
			*p = ' ';
	return t ? sl_text_plain(t) : NULL;
}

/** A member, or A/B: the member B of the member A. */
static const json_t *
member_of(const json_t *row, const char *key)
{
	char name[32];
	size_t n;

	for (; key[n = strcspn(key, "/")] && n < sizeof(name); key += n + 1) {
		memcpy(name, key, n);
		name[n] = 0;
		row = json_object_get(row, name);
	}
	return json_object_get(row, key);
}

/** @return false without memory */
static bool
fill(struct grid *g, const json_t *rows, int64_t now)
{
	for (size_t r = 0; r <= g->n_rows; r++) {
		const json_t *row = r ? json_array_get(rows, r - 1) : NULL;

		for (unsigned c = 0; c < g->n_cols; c++) {
			const struct sl_table_column *col = &g->col[c];
			char *text = r ? sl_cell_text(member_of(row, col->key), col->format, now)
				       : title_of(col);

			if (!text)
				return false;
			g->cell[r * g->n_cols + c] = text;
			g->width[c] = SL_MAX(g->width[c], width_of(text));
			g->right[c] = col->format != SL_CELL_TEXT;
		}
	}
	return true;
}

static void
write_line(FILE *f, const struct grid *g, size_t row)
{
	for (unsigned c = 0; c < g->n_cols; c++) {
		const char *text = g->cell[row * g->n_cols + c];
		int pad = (int)(g->width[c] - width_of(text));
		bool last = c + 1 == g->n_cols;

		if (g->right[c])
			fprintf(f, "%*s%s", pad, "", text);
		else
			fprintf(f, "%s%*s", text, last ? 0 : pad, "");
		if (!last)
			fprintf(f, "%*s", GAP, "");
	}
	fputc('\n', f);
}

char *
sl_table_text(const json_t *rows, const struct sl_table_column *columns, bool wide, int64_t now)
{
	struct grid g = {.n_rows = json_array_size(rows)};
	char *text = NULL;
	size_t size;
	FILE *f;
	bool ok;

	if (columns)
		choose_columns(&g, columns, wide);
	else
		columns_of(&g, rows);
	g.cell = calloc((g.n_rows + 1) * (g.n_cols + 1), sizeof(g.cell[0]));
	f = g.cell ? open_memstream(&text, &size) : NULL;
	ok = f && fill(&g, rows, now);
	for (size_t r = 0; ok && r <= g.n_rows; r++)
		write_line(f, &g, r);
	if (f && fclose(f))
		ok = false;
	for (size_t i = 0; g.cell && i < (g.n_rows + 1) * g.n_cols; i++)
		free(g.cell[i]);
	free(g.cell);
	if (!ok) {
		free(text);
		return NULL;
	}
	return text;
}
