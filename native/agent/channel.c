/* What all channels have in common: the loop that serves requests, the arenas, and which channel a thread has. */
#include "agent.h"

static DWORD slot;

void prepare_channels(void)
{
    slot = TlsAlloc();
}

struct channel *current_channel(void)
{
    return TlsGetValue(slot);
}

void set_current_channel(struct channel *channel)
{
    TlsSetValue(slot, channel);
}

int add_arena(struct channel *channel, char *bytes, uint64_t size)
{
    struct arena *arena = HeapAlloc(GetProcessHeap(), 0, sizeof *arena);
    if (!arena) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return 0;
    }
    *arena = (struct arena){.older = channel->arena, .bytes = bytes, .size = size};
    channel->arena = arena;
    return 1;
}

static void drop(struct channel *channel, struct arena **link)
{
    for (struct arena *arena = *link, *older; arena; arena = older) {
        older = arena->older;
        channel->carrier->unmap(arena->bytes);
        HeapFree(GetProcessHeap(), 0, arena);
    }
    *link = NULL;
}

void drop_arenas(struct channel *channel)
{
    drop(channel, &channel->arena);
}

void work(struct channel *channel, struct task *task)
{
    struct response response;
    struct task *outer = channel->running;
    task->arena = channel->arena;
    channel->running = task;
    dispatch(channel, &task->request, &response);
    channel->running = outer;   /* before the answer: a stream's next frame may come at once */
    channel->carrier->respond(channel, task, &response, NULL, 0);
}

int serve(struct channel *channel, struct request *answer)
{
    struct task task;
    while (!channel->over && channel->carrier->receive(channel, &task.request)) {
        if (channel->callbacks && task.request.op == OP_CALLBACK_RETURN) {
            *answer = task.request;
            return 1;
        }
        work(channel, &task);
        if (channel->callbacks) continue;
        if (channel->arena) drop(channel, &channel->arena->older);
        if (channel->carrier->moves && channel->carrier->moves(channel)) return 0;
    }
    channel->over = 1;
    return 0;
}
