/* Fuzzer of a shared channel: an input is a key and the client's turns, each a byte of flags, a length, and what is
 * written into the slot. Whatever the agent has copied out of the slot is changed behind its back with the key: were a
 * field read a second time, it would be another one than the one that was checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { SERIAL_STAYS = 1, ASLEEP = 2, KEEPS = 4 };

#define NAME 0x7f01     /* of the pipes; no input is led to it */
#define SEGMENT (SLOT_ARENA + 4096)

static const uint8_t *next_byte, *end;
static uint8_t key;
static char *slot;
static uint32_t serial;
static int meddles;

void *meddling_memcpy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    uintptr_t offset = (uintptr_t)from - (uintptr_t)slot;
    if (slot && meddles && offset < SLOT_ARENA)
        for (size_t k = 0; k < SLOT_ARENA - SLOT_REQUEST; k++) slot[SLOT_REQUEST + k] ^= (char)(key + k * 31);
    return to;
}

static void check_answer(void)
{
    struct response response;
    uint32_t answered;
    memcpy(&answered, slot + SLOT_RESPONSE_SERIAL, sizeof answered);
    memcpy(&response, slot + SLOT_RESPONSE, sizeof response);
    if (answered != serial || response.status > STATUS_CALLBACK) {
        fprintf(stderr, "answer %u to request %u has the status %u\n", answered, serial, response.status);
        abort();
    }
}

static uint32_t take_turn(uint32_t name, void *buffer, uint32_t size)
{
    if (name != NAME || exit_asked || end - next_byte < 3) return 0;    /* another channel has no client */
    uint32_t flags = next_byte[0], length = next_byte[1] | next_byte[2] << 8;
    next_byte += 3;
    if (length > end - next_byte) length = (uint32_t)(end - next_byte);
    if (length > SLOT_ARENA - SLOT_REQUEST) length = SLOT_ARENA - SLOT_REQUEST;
    check_answer();
    memcpy(slot + SLOT_REQUEST, next_byte, length);
    next_byte += length;
    meddles = !(flags & KEEPS);
    slot[SLOT_CLIENT_ASLEEP] = !!(flags & ASLEEP);
    if (!(flags & SERIAL_STAYS)) {
        serial++;
        memcpy(slot + SLOT_REQUEST_SERIAL, &serial, sizeof serial);
    }
    memset(buffer, 0, size);
    return size;
}

static void ignore(uint32_t name, const void *bytes, uint32_t size)
{
    (void)name, (void)bytes, (void)size;
}

static void *map(size_t size)
{
    void *view = size ? calloc(1, size) : NULL;
    if (!slot) slot = view;
    return view;
}

static void unmap(void *address)
{
    if (address == slot) slot = NULL;
    free(address);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    pipe_read = take_turn;
    pipe_written = ignore;
    segment_mapped = map;
    segment_unmapped = unmap;
    prepare_channels();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const WCHAR path[] = {NAME, 0};
    if (!size) return -1;
    key = data[0];
    next_byte = data + 1;
    end = data + size;
    slot = NULL;
    serial = 0;
    kernel_reset();
    prepare_callbacks();
    if (!open_shared(path, 0, SEGMENT, path, path, 0, 0)) abort();
    end_threads();
    callbacks_reset();
    kernel_reset();
    return 0;
}
