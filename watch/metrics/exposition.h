// SPDX-License-Identifier: Apache-2.0
/*
 * exposition.h - writes metrics as text, in one of two formats:
 *
 *   OpenMetrics 1.0   what Prometheus asks for by HTTP
 *   text 0.0.4        Prometheus's older format, which node-exporter's textfile collector and promtool read
 *
 * The samples are the same in both. The older format has neither the types "stateset" and "info" (they are gauges), nor
 * units, nor the final "# EOF"; and it has the suffix of a counter in the name of the family also.
 *
 * The caller writes all samples of a family one after another. A family without samples is not written.
 */
#ifndef PMVM_EXPOSITION_H
#define PMVM_EXPOSITION_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define LABEL_VALUE_MAX 256u /* bytes of a value; what is longer is truncated */

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_STATESET, METRIC_INFO };

struct family {
	const char *name; /* without the suffixes _total and _info; with the unit */
	enum metric_type type;
	const char *unit; /* the end of the name, or NULL */
	const char *help;
};

struct label {
	const char *name, *value; /* a value that is NULL is an empty one */
};

struct exposition {
	struct text text;
	bool is_openmetrics;
	const struct family *family;
	bool has_samples; /* of the family */
};

void exposition_family(struct exposition *e, const struct family *family);

/* Labels end with one whose name is NULL. `suffix` is that of a histogram: "_bucket", "_sum", "_count"; otherwise "". */
void exposition_uint(struct exposition *e, const char *suffix, const struct label *labels, uint64_t value);
void exposition_double(struct exposition *e, const char *suffix, const struct label *labels, double value);

void exposition_end(struct exposition *e);

/* The shortest decimal number that reads as this value. */
void exposition_number(char *buf, size_t size, double value);

#endif
