// SPDX-License-Identifier: Apache-2.0
/*
 * command.h - the one table of commands that both faces of the monitor serve.
 *
 * A command takes a JSON object of arguments, which was checked against its schema, and gives a JSON
 * value. QMP passes both through. HMP makes the arguments from a line of text (hmp_args) and shows the
 * value with a printer of its own (hmp_print.c).
 */
#ifndef PMVM_COMMAND_H
#define PMVM_COMMAND_H

#include <json-c/json.h>
#include <stdbool.h>
#include <vpmem.h>

struct machine;
struct monitor;
struct schema_type;

/* Where a command's output as text goes: append by hmp_printf. */
struct hmp_out;
void hmp_printf(struct hmp_out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How a line of HMP becomes arguments. */
enum hmp_args {
	HMP_NONE,     /* nothing may follow */
	HMP_WORD,     /* one word, as the member hmp_key: device_del ID */
	HMP_OPTIONS,  /* key=value,...: members, all strings; hmp_key is the implied key. A leading '{': JSON */
	HMP_OPTIONAL, /* a word, or nothing: help [command] */
};

/* What Tab offers for the (first) argument. */
enum hmp_complete {
	COMPLETE_NONE,
	COMPLETE_DEVICE,
	COMPLETE_OBJECT,
	COMPLETE_DRIVER,
	COMPLETE_OBJECT_TYPE,
	COMPLETE_COMMAND
};

/* What a client of QMP and we have agreed on. */
struct qmp_negotiation {
	bool done; /* qmp_capabilities succeeded: commands and events flow */
	bool oob;  /* "exec-oob" may be sent */
};

struct command_context {
	struct monitor *monitor;
	struct machine *machine;
	bool text;                   /* arguments come from HMP: all values are strings */
	struct qmp_negotiation *qmp; /* of the client; NULL: it is no QMP client */
};

struct command {
	/* QMP */
	const char *name;               /* "device_add"; NULL: HMP only */
	const struct schema_type *args; /* an object type; NULL: none */
	const struct schema_type *ret;  /* NULL: nothing, which is {} */
	/*
	 * Runs it. On success *ret is a new value, or NULL for {}. On failure returns -errno with err set;
	 * -ENODEV is QMP's class DeviceNotFound, -ENOSYS CommandNotFound, everything else GenericError. NULL:
	 * the face does it itself (help).
	 */
	int (*run)(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
	           struct vpmem_error *err);

	/* HMP */
	const char *hmp_name;   /* "device_add", "info status"; NULL: QMP only */
	const char *hmp_alias;  /* "c" for cont, "q" for quit; may be NULL */
	const char *hmp_params; /* for help, as QEMU writes them: "driver[,prop=value][,...]"; "" */
	const char *hmp_help;   /* one line: "add device, like -device on the command line" */
	enum hmp_args hmp_args;
	const char *hmp_key;
	enum hmp_complete hmp_complete;
	void (*hmp_print)(struct json_object *ret, struct hmp_out *out); /* NULL: prints nothing */
};

extern const struct command command_table[];
extern const unsigned command_count;

/* By QMP's name; NULL if there is none. */
const struct command *command_find(const char *name);

/* Checks the arguments (may be NULL: none) against the command's schema and runs it. QMP's way in, and HMP's. */
int command_run(const struct command *cmd, const struct command_context *ctx, struct json_object *args,
                struct json_object **ret, struct vpmem_error *err);

/* The machine that the monitor serves. monitor.c */
struct machine *monitor_machine(struct monitor *mon);

/* Runs one line as HMP would, for human-monitor-command; the output is appended (lines end "\r\n"). hmp.c */
void hmp_run_line(struct monitor *mon, const char *line, struct hmp_out *out);

#endif
