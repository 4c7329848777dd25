/* callback.c, and what a run leaves in it. */
#include "../agent/callback.c"
#include "harness.h"

void end_all_services(void)
{
    for (struct channel *channel = idle; channel; channel = idle) end_service(channel);
}

/* A thread of a DLL waits for a channel that nobody will bring any more: give it one that is over. */
int release_a_borrower(void)
{
    static struct channel over = {.over = 1};
    if (idle) return 0;
    EnterCriticalSection(&idle_lock);
    over.next_idle = NULL;
    idle = &over;
    WakeConditionVariable(&idle_came);
    LeaveCriticalSection(&idle_lock);
    wait_until_idle();
    int taken = idle != &over;
    idle = NULL;
    return taken;
}

void callbacks_reset(void)
{
    for (struct block *block = blocks, *next; block; block = next) {
        next = block->next;
        VirtualFree(block->stubs, 0, MEM_RELEASE);
        HeapFree(GetProcessHeap(), 0, block);
    }
    blocks = NULL;
    first_spare = last_spare = NULL;
    spare = 0;
    idle = NULL;
}
