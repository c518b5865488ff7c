// SPDX-License-Identifier: Apache-2.0
// The types that several commands share.
#include "schema_make.h"

BUILTIN(schema_str, "str", "string");
BUILTIN(schema_int, "int", "int");
BUILTIN(schema_bool, "bool", "boolean");
BUILTIN(schema_any, "any", "value");
ARRAY(schema_strs, schema_str);
ARRAY(schema_ints, schema_int);

const struct schema_type schema_empty = { .kind = SCHEMA_OBJECT, .name = "Empty" };

OBJECT(schema_id_arg, "id-arg", MEMBER("id", schema_str));

static OBJECT(property_type, "ObjectPropertyInfo", MEMBER("name", schema_str), MEMBER("type", schema_str),
              OPTIONAL("description", schema_str), OPTIONAL("default-value", schema_any));
ARRAY(schema_properties, property_type);
