"""Exit codes of the command, the same for every sub-command."""

OK = 0
NEGATIVE = 1
USAGE = 2
BAD_INPUT = 3
NO_FACE = 4
INTERNAL = 70
INTERRUPTED = 130

MEANINGS = {
    OK: "done",
    NEGATIVE: "done, the answer is no",
    USAGE: "wrong usage",
    BAD_INPUT: "bad input",
    NO_FACE: "no face, or several where one was wanted",
    INTERNAL: "internal error",
    INTERRUPTED: "interrupted",
}
