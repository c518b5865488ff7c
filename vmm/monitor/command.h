// SPDX-License-Identifier: Apache-2.0
/*
 * command.h - the commands of the monitor: one table for HMP and QMP.
 *
 * A command is one file, cmd_NAME.c, and one line of the table in commands.c; commands that belong together, such as
 * stop and cont, may share a file. The file defines
 *
 *   const struct command cmd_NAME
 *
 * and everything that only this command has: the types of its arguments and of its result (schema_make.h), its
 * function, and the printer that shows the result in HMP. docs/monitor.md has an example.
 *
 * A command takes a JSON object of arguments, which was checked against its schema, and returns a JSON value. QMP
 * passes both through. HMP makes the arguments from a line of text (hmp_args.c) and shows the value with the printer.
 * Everything runs in the main thread, under the machine lock.
 */
#ifndef PMVM_COMMAND_H
#define PMVM_COMMAND_H

#include <json-c/json.h>
#include <stdbool.h>
#include <vpmem.h>

struct machine;
struct monitor;
struct schema_type;

/* The text that a command prints in HMP: append by hmp_printf. */
struct hmp_out;
void hmp_printf(struct hmp_out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How a line of HMP becomes arguments. */
enum hmp_args {
	HMP_NONE,     /* nothing may follow */
	HMP_WORD,     /* one word, as the member hmp_key: device_del ID */
	HMP_OPTIONS,  /* key=value,...: members, all strings; hmp_key is the implied key. A leading '{': JSON */
	HMP_OPTIONAL, /* one word, or nothing */
	HMP_MIB,      /* a number of MiB, as the member hmp_key in bytes: balloon 512 */
	HMP_SWITCH,   /* one word, as the member hmp_key, then on or off, as the member hmp_switch: set_link ID off */
};

/* What Tab offers for the (first) argument. */
enum hmp_complete { COMPLETE_NONE, COMPLETE_DEVICE, COMPLETE_OBJECT, COMPLETE_DRIVER, COMPLETE_OBJECT_TYPE };

/* What a client of QMP has negotiated. */
struct qmp_negotiation {
	bool done; /* qmp_capabilities succeeded: commands and events flow */
	bool oob;  /* "exec-oob" may be sent */
};

struct command_context {
	struct monitor *monitor;
	struct machine *machine;
	bool text;                   /* the arguments come from a line of HMP: all values are strings */
	struct qmp_negotiation *qmp; /* of the client; NULL: it is an HMP client */
};

/* Either run or query is set. */
struct command {
	const char *name;               /* in QMP: "device_add" */
	const struct schema_type *args; /* an object type; NULL: no arguments */
	const struct schema_type *ret;  /* NULL: nothing is returned, which is {} */
	/*
	 * Runs the command. On success *ret is a new value, or stays NULL for {}. On failure returns -errno with err set;
	 * -ENODEV is QMP's class DeviceNotFound, -EUNATCH DeviceNotActive, -ENOSYS CommandNotFound, everything else
	 * GenericError.
	 */
	int (*run)(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
	           struct vpmem_error *err);
	/* A command without arguments that only asks, and cannot fail: returns a new value. NULL: out of memory. */
	struct json_object *(*query)(const struct machine *m);

	const char *hmp_name;   /* "device_add", "info status"; NULL: the command is QMP's only */
	const char *hmp_alias;  /* "c" for cont, "q" for quit; NULL: none */
	const char *hmp_params; /* for help, as QEMU writes them: "driver[,prop=value][,...]"; NULL: none */
	const char *hmp_help;   /* one line: "add device, like -device on the command line" */
	enum hmp_args hmp_args;
	const char *hmp_key;
	const char *hmp_switch; /* HMP_SWITCH */
	enum hmp_complete hmp_complete;
	void (*hmp_print)(struct json_object *ret, struct hmp_out *out); /* NULL: prints nothing */
};

/* In the order of query-commands and query-qmp-schema. */
extern const struct command *const command_table[];
extern const unsigned command_count;

/* By QMP's name; NULL if there is none. */
const struct command *command_find(const char *name);

/* Checks the arguments (may be NULL: none) against the command's schema and runs it. QMP's way in, and HMP's. */
int command_run(const struct command *cmd, const struct command_context *ctx, struct json_object *args,
                struct json_object **ret, struct vpmem_error *err);

/* For a command's function: stores the value as its result. -ENOMEM with its text if the value is NULL. */
int command_return(struct json_object *val, struct json_object **ret, struct vpmem_error *err);

/* The machine that the monitor serves. monitor.c */
struct machine *monitor_machine(struct monitor *mon);

/* Runs one line as HMP would, for human-monitor-command; the output is appended (lines end "\r\n"). hmp.c */
void hmp_run_line(struct monitor *mon, const char *line, struct hmp_out *out);

#endif
