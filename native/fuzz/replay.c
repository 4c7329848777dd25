/* Runs a fuzzer's target on files, where there is no libFuzzer: gcc has the sanitizers but not the fuzzer. */
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int main(int count, char **arguments)
{
    LLVMFuzzerInitialize(&count, &arguments);
    for (int k = 1; k < count; k++) {
        FILE *file = fopen(arguments[k], "rb");
        if (!file) return 2;
        fseek(file, 0, SEEK_END);
        size_t size = (size_t)ftell(file);
        unsigned char *data = malloc(size ? size : 1);
        rewind(file);
        if (fread(data, 1, size, file) != size) return 2;
        fclose(file);
        fprintf(stderr, "%s\n", arguments[k]);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return 0;
}
