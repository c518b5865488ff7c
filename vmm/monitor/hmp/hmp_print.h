// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_print.h - what the `info` commands show: the value that the QMP command gives, as text.
 *
 * `ret` has the shape that the command's schema declares (schema_types.c).
 */
#ifndef PMVM_HMP_PRINT_H
#define PMVM_HMP_PRINT_H

struct hmp_out;
struct json_object;

void hmp_print_status(struct json_object *ret, struct hmp_out *out);
void hmp_print_version(struct json_object *ret, struct hmp_out *out);
void hmp_print_name(struct json_object *ret, struct hmp_out *out);
void hmp_print_uuid(struct json_object *ret, struct hmp_out *out);
void hmp_print_kvm(struct json_object *ret, struct hmp_out *out);
void hmp_print_cpus(struct json_object *ret, struct hmp_out *out);
void hmp_print_pci(struct json_object *ret, struct hmp_out *out);
void hmp_print_memory_devices(struct json_object *ret, struct hmp_out *out);
void hmp_print_memdev(struct json_object *ret, struct hmp_out *out);
void hmp_print_memory_size_summary(struct json_object *ret, struct hmp_out *out);
void hmp_print_pmem(struct json_object *ret, struct hmp_out *out);

#endif
