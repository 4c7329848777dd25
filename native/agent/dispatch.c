/* A request becomes a native call, a call becomes a response. */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "agent.h"

int64_t widened(uint32_t result, const struct call *call)
{
    switch (result) {
    case RESULT_INT8: return (int8_t)call->integer;
    case RESULT_UINT8: return (uint8_t)call->integer;
    case RESULT_INT16: return (int16_t)call->integer;
    case RESULT_UINT16: return (uint16_t)call->integer;
    case RESULT_INT32: return (int32_t)call->integer;
    case RESULT_UINT32: return (uint32_t)call->integer;
    case RESULT_INT64: return (int64_t)call->integer;
    case RESULT_POINTER: return (int64_t)(uintptr_t)call->integer;
    default: return 0;
    }
}

double real(uint32_t result, const struct call *call)
{
    float narrow;
    if (result == RESULT_DOUBLE) return call->real;
    if (result != RESULT_FLOAT) return 0;
    memcpy(&narrow, &call->real, sizeof narrow);
    return narrow;
}

uint32_t real_size(uint32_t result)
{
    return result == RESULT_DOUBLE ? 8 : result == RESULT_FLOAT ? 4 : 0;
}

static uint32_t malformed(const struct request *request)
{
    if (request->op != OP_CALL && request->op != OP_CALL_MANY && !builtin(request->op)) return MALFORMED_OPCODE;
    if (request->size > MAX_ARGUMENT_BYTES || request->size % sizeof(void *)) return MALFORMED_SIZE;
    if ((request->flags & 0xff) > RESULT_DOUBLE) return MALFORMED_RESULT;
    return 0;
}

void report_fault(const struct fault *fault, struct response *response)
{
    response->status = STATUS_FAULT;
    response->result = fault->code;
    response->access = fault->access;
    response->address = fault->address;
    response->instruction = fault->instruction;
    if (fault->code == EXCEPTION_STACK_OVERFLOW) _resetstkoflw();
}

/* Calls with the last error and errno that the request asks for. What the agent does between calls must not
 * show, so a plain call sees the last error that the channel's previous plain call left, or a callback was called with. */
int invoke_with_errors(struct channel *channel, const struct request *request, struct call *call, struct response *response)
{
    int errno_before = errno, of_agent = request->op != OP_CALL && request->op != OP_CALL_MANY;
    int plain = !of_agent && !(request->flags & FLAG_SWAP_LAST_ERROR);
    DWORD visible = channel->last_error;
    if (request->flags & FLAG_SWAP_ERRNO) errno = request->errno_value;
    SetLastError(plain ? visible : request->last_error);
    int failed = invoke(call);
    response->last_error = GetLastError();
    response->errno_value = errno;
    if (request->flags & FLAG_SWAP_ERRNO) errno = errno_before;
    channel->last_error = plain ? response->last_error : visible;
    return failed;
}

static void call_one(struct channel *channel, const struct request *request, struct response *response)
{
    uint32_t result = request->flags & 0xff;
    struct call call = {.function = request->op == OP_CALL ? request->target : builtin(request->op),
                        .words = (uintptr_t)channel->words, .size = request->size, .real_size = real_size(result)};
    if (invoke_with_errors(channel, request, &call, response)) {
        report_fault(&call.fault, response);
        return;
    }
    response->result = widened(result, &call);
    response->real = real(result, &call);
    response->popped = call.popped;
}

void dispatch(struct channel *channel, const struct request *request, struct response *response)
{
    uint32_t rule = malformed(request);
    memset(response, 0, sizeof *response);
    if (!rule && request->op == OP_CALL_MANY) rule = call_many(channel, request, response);
    else if (!rule) call_one(channel, request, response);
    if (rule) *response = (struct response){.status = STATUS_MALFORMED, .result = rule};
}
