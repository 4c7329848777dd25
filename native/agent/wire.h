/* Written by scripts/wire_header.py from winbridge/core/wire.py: change that file, then `make agents`. */
#ifndef WINBRIDGE_WIRE_H
#define WINBRIDGE_WIRE_H

#include <stdint.h>

#define WIRE_VERSION 3u
#define WIRE_MAGIC "WINBRIDG"
#define FRAME_MAGIC 0x46425757u
#define MAX_ARGUMENT_BYTES 8192u
#define CALLBACK_GONE 0xe0574243u
#define MAX_ARENA 0x10000000000ull
#define CONTROL_ARENA 65536u

enum {
    OP_CALL = 0,
    OP_LOAD = 1,
    OP_FREE = 2,
    OP_RESOLVE = 3,
    OP_MODULE_PATH = 4,
    OP_READ = 5,
    OP_WRITE = 6,
    OP_STRING = 7,
    OP_ALLOC = 8,
    OP_RELEASE = 9,
    OP_MAP = 10,
    OP_ARENA = 11,
    OP_OPEN_SHARED = 12,
    OP_OPEN_STREAM = 13,
    OP_CLOSE_STREAM = 14,
    OP_EXIT = 15,
    OP_SHARE = 16,
    OP_UNSHARE = 17,
    OP_HEAP = 18,
    OP_THUNK_NEW = 19,
    OP_THUNK_FREE = 20,
    OP_CALLBACK_RETURN = 21,
    OP_SERVE = 22,
    OP_CALL_MANY = 23,
    OP_PATCH = 24,
};

enum {
    RESULT_NONE = 0,
    RESULT_INT8 = 1,
    RESULT_UINT8 = 2,
    RESULT_INT16 = 3,
    RESULT_UINT16 = 4,
    RESULT_INT32 = 5,
    RESULT_UINT32 = 6,
    RESULT_INT64 = 7,
    RESULT_POINTER = 8,
    RESULT_FLOAT = 9,
    RESULT_DOUBLE = 10,
};

enum {
    STATUS_OK = 0,
    STATUS_FAULT = 1,
    STATUS_MALFORMED = 2,
    STATUS_CALLBACK = 3,
};

enum {
    MALFORMED_OPCODE = 1,
    MALFORMED_SIZE = 2,
    MALFORMED_RESULT = 3,
    MALFORMED_ARENA = 4,
    MALFORMED_CHANNEL = 5,
    MALFORMED_COLUMN = 6,
};

enum {
    FLAG_SWAP_LAST_ERROR = 256,
    FLAG_SWAP_ERRNO = 512,
};

enum {
    SLOT_REQUEST_SERIAL = 0,
    SLOT_CLIENT_ASLEEP = 4,
    SLOT_RESPONSE_SERIAL = 64,
    SLOT_AGENT_ASLEEP = 68,
    SLOT_RESPONSE = 128,
    SLOT_REQUEST = 256,
    SLOT_ARENA = 16384,
};

struct greeting {
    char magic[8];
    uint32_t version;
    uint32_t pointer_size;
    uint32_t process_id;
    uint32_t reserved;
    uint64_t arena;
};
_Static_assert(sizeof(struct greeting) == 32, "the wire has no padding");

struct request {
    uint32_t op;
    uint32_t flags;
    uint32_t size;
    uint32_t last_error;
    int32_t errno_value;
    uint32_t reserved;
    uint64_t target;
    uint64_t arena_start;
    uint64_t arena_size;
    uint64_t arena_back;
};
_Static_assert(sizeof(struct request) == 56, "the wire has no padding");

struct response {
    uint32_t status;
    uint32_t last_error;
    int64_t result;
    double real;
    int32_t errno_value;
    uint32_t popped;
    uint64_t access;
    uint64_t address;
    uint64_t instruction;
};
_Static_assert(sizeof(struct response) == 56, "the wire has no padding");

struct frame {
    uint32_t magic;
    uint32_t channel;
    uint32_t size;
    uint32_t reserved;
    uint64_t arena_size;
};
_Static_assert(sizeof(struct frame) == 24, "the wire has no padding");

struct many {
    uint64_t progress;
    uint64_t count;
    uint32_t budget;
    uint32_t popped;
};
_Static_assert(sizeof(struct many) == 24, "the wire has no padding");

struct column {
    uint64_t address;
    int64_t stride;
    uint32_t kind;
    uint32_t reserved;
};
_Static_assert(sizeof(struct column) == 24, "the wire has no padding");

#endif
