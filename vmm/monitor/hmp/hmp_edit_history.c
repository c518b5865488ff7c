// SPDX-License-Identifier: Apache-2.0
// The lines that Up and Down bring back.
#include "hmp_edit_history.h"

#include <stdlib.h>
#include <string.h>

void history_add(struct hmp_history *history, const char *line)
{
	char *copy;

	if (line[strspn(line, " \t")] == '\0')
		return;
	if (history->nlines > 0 && strcmp(history->lines[history->nlines - 1], line) == 0)
		return;
	copy = strdup(line);
	if (!copy)
		return;
	if (history->nlines == HMP_HISTORY_MAX) {
		free(history->lines[0]);
		memmove(history->lines, history->lines + 1, (HMP_HISTORY_MAX - 1) * sizeof(history->lines[0]));
		history->nlines--;
	}
	history->lines[history->nlines++] = copy;
}

void history_rewind(struct hmp_history *history)
{
	free(history->draft);
	history->draft = NULL;
	history->at = history->nlines;
}

const char *history_older(struct hmp_history *history, const char *line)
{
	if (history->at == 0)
		return NULL;
	if (history->at == history->nlines) {
		free(history->draft);
		history->draft = strdup(line);
	}
	return history->lines[--history->at];
}

const char *history_newer(struct hmp_history *history)
{
	if (history->at == history->nlines)
		return NULL;
	if (++history->at < history->nlines)
		return history->lines[history->at];
	return history->draft ? history->draft : "";
}

void history_free(struct hmp_history *history)
{
	history_rewind(history);
	for (unsigned i = 0; i < history->nlines; i++)
		free(history->lines[i]);
	history->nlines = history->at = 0;
}
