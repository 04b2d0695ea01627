/* app/control/main.h - argv to exit code. */
#pragma once

int control_main(int argc, char **argv, char *const *environment);
