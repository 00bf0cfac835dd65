/* SPDX-License-Identifier: Apache-2.0 */
#include "cri/signals.h"

#include <signal.h>
#include <string.h>

#include "base/str.h"

/* Looks name up in the enum's own descriptor, so that the list of names is in one place:
 * api/cri.proto. */
Runtime__V1__Signal cri_signal_named(const char *name)
{
    if (str_empty(name))
        return RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
    int64_t number;
    const char *abbreviated = NULL;
    if (str_parse_int(name, 1, 31, &number) == 0)
        abbreviated = sigabbrev_np((int)number);
    else
        abbreviated = str_after(name, "SIG") ? str_after(name, "SIG") : name;
    if (!abbreviated || strlen(abbreviated) > 16)
        return RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
    char value[32] = "SIGNAL_SIG";
    strcat(value, abbreviated);
    const ProtobufCEnumValue *found =
        protobuf_c_enum_descriptor_get_value_by_name(&runtime__v1__signal__descriptor, value);
    return found ? (Runtime__V1__Signal)found->value : RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
}
