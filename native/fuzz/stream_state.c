/* stream.c, and what a run leaves in it. */
#include "../agent/stream.c"
#include "harness.h"

void close_all_streams(void)
{
    for (struct stream *stream = streams, *next; stream; stream = next) {
        next = stream->next;
        if (stream != &control && !stream->closing) finish(stream);
    }
}

void stream_reset(void)
{
    drop_arenas(&control.base);
    control = (struct stream){.number = 0};
    streams = NULL;
}
