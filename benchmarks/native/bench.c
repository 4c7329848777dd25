/* What the benchmarks call. One function a workload; see benchmarks/bodies/calls.py. */
#include <stddef.h>
#include <stdint.h>
#include <windows.h>

#define EXPORT __declspec(dllexport)

EXPORT int add(int left, int right)
{
    return left + right;
}

EXPORT void sort_floats(float *values, int count)
{
    for (int end = 1; end < count; end++) {
        float value = values[end];
        int place = end;
        for (; place > 0 && values[place - 1] > value; place--)
            values[place] = values[place - 1];
        values[place] = value;
    }
}

struct cell {
    int column, row;
    double value;
};

typedef double (*visitor)(struct cell *cell);

/* Nine callbacks, each with a structure that the visitor reads and changes. */
EXPORT double visit_cells(visitor visit, double start)
{
    double sum = 0;
    for (int index = 0; index < 9; index++) {
        struct cell cell = {index % 3, index / 3, start + index};
        sum += visit(&cell) + cell.value;
    }
    return sum;
}

struct channel {
    int count;
    float *samples;
};

struct recording {
    int rate;
    const char *title;
    struct channel *left, *right;
};

/* Halves both channels in place and returns the sum of what was there. */
EXPORT double halve_recording(struct recording *recording)
{
    struct channel *channels[2] = {recording->left, recording->right};
    double sum = recording->title[0];
    for (int side = 0; side < 2; side++)
        for (int index = 0; index < channels[side]->count; index++) {
            sum += channels[side]->samples[index];
            channels[side]->samples[index] /= 2;
        }
    recording->rate /= 2;
    return sum;
}

/* Reads and changes every byte. */
EXPORT void invert(uint8_t *bytes, size_t count)
{
    uint64_t *words = (uint64_t *)bytes;
    for (size_t index = 0; index < count / sizeof *words; index++)
        words[index] = ~words[index];
    for (size_t index = count / sizeof *words * sizeof *words; index < count; index++)
        bytes[index] = (uint8_t)~bytes[index];
}

EXPORT int last_byte(const uint8_t *bytes, size_t count)
{
    return bytes[count - 1];
}

EXPORT void rest(unsigned milliseconds)
{
    Sleep(milliseconds);
}
