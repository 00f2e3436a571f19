// The smallest program: arguments, environment, exit status.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("hello from %d argument(s), %s a PATH\n", argc, getenv("PATH") && argv[0] ? "with" : "without");
    return 7;
}
