#!/bin/sh
# exits.sh CODE COMMAND...: runs the command, both streams to stdout, and passes
# when it ends with exactly CODE.
expected=$1
shift
"$@" 2>&1
code=$?
[ $code = "$expected" ] || { echo "exit code $code instead of $expected"; exit 1; }
